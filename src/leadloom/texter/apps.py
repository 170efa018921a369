from django.apps import AppConfig


class TexterConfig(AppConfig):
    name = "leadloom.texter"
    label = "texter"
