from django.apps import AppConfig


class ConnectionsConfig(AppConfig):
    name = "leadloom.connections"
    label = "connections"
