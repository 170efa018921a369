"""Addresses of AI Texter, under /texter/."""

from django.urls import path

from leadloom.texter import views

urlpatterns = [
    path("", views.page, name="texter"),
    path("switch", views.switch, name="texter-switch"),
    path("address", views.address, name="texter-address"),
    path("secret", views.secret, name="texter-secret"),
    path("test", views.test, name="texter-test"),
    path("release/<int:connection_id>", views.release, name="texter-release"),
    path("deliveries/<int:delivery_id>", views.delivery, name="texter-delivery"),
    path("deliveries/<int:delivery_id>/again", views.again, name="texter-again"),
]
