"""Addresses that machines ask: is it alive, is it ready, how is it doing."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
