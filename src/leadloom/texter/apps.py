from django.apps import AppConfig


class TexterConfig(AppConfig):
    name = "leadloom.texter"
    label = "texter"

    def ready(self) -> None:
        """Listen for ended runs: the sync does not know that we exist."""
        from leadloom.sync.signals import run_ended
        from leadloom.texter.listen import collect_after_run

        run_ended.connect(collect_after_run, dispatch_uid="texter.collect_after_run")
