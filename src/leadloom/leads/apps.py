from django.apps import AppConfig


class LeadsConfig(AppConfig):
    name = "leadloom.leads"
    label = "leads"
