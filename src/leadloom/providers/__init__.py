"""What to ask each CRM and how to read its answers. Pure: no network, no database, no Django."""
