"""Addresses of this part: connecting, what a card's buttons do, the run history."""

from django.urls import path

from leadloom.connections import views

urlpatterns = [
    path("connect", views.connect, name="connect"),
    path("connections/cards", views.cards, name="connection-cards"),
    path("connections/refresh", views.refresh_all, name="refresh-all"),
    path("connections/refreshing", views.refreshing, name="refreshing"),
    path("connections/<int:connection_id>/refresh", views.refresh, name="refresh"),
    path("connections/<int:connection_id>/pause", views.pause, name="pause"),
    path("connections/<int:connection_id>/resume", views.resume, name="resume"),
    path("connections/<int:connection_id>/disconnect", views.disconnect, name="disconnect"),
    path("connections/<int:connection_id>/absent", views.absent, name="absent"),
    path("connections/<int:connection_id>/release", views.release, name="release"),
    path("connections/<int:connection_id>/not-imported", views.not_imported, name="not-imported"),
    path("connections/<int:connection_id>/count", views.count, name="count"),
    path("connections/<int:connection_id>/fields", views.own_fields, name="own-fields"),
    path("runs", views.runs, name="runs"),
    path("runs/<int:run_id>", views.run, name="run"),
]
