"""A simulated Salesforce organisation."""
