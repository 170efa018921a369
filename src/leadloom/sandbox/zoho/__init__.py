"""A simulated Zoho CRM organisation."""
