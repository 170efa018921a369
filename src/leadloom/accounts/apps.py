from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "leadloom.accounts"
    label = "accounts"
