"""Leadloom keeps a sales team's leads in step with its CRM."""
