"""Every address of the site, by the part that answers it."""

from django.urls import path

urlpatterns: list[object] = []
