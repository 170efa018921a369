"""A simulated GoHighLevel location."""
