from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "leadloom.site"
    label = "site"
