"""Addresses of this part."""

from django.urls import path

from leadloom.live import views

urlpatterns = [path("live", views.live, name="live")]
