from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "leadloom.site"
    label = "site"

    def ready(self) -> None:
        from leadloom.site import logs

        logs.configure()
