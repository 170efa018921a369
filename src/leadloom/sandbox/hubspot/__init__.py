"""HubSpot, simulated: the CRM API's contacts, search, owners, companies, properties, sign-in and limits."""
