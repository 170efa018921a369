"""Addresses that machines ask: is it alive, is it ready, how is it doing."""

from django.urls import path

from leadloom.site import health

urlpatterns = [
    path("healthz", health.alive, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]
