from django.apps import AppConfig


class SyncConfig(AppConfig):
    name = "leadloom.sync"
    label = "sync"
