"""Addresses of this part: the dashboard, its rows, a page for each lead, and undoing a run."""

from django.urls import path

from leadloom.leads import undo_views, views

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("threads/rows", views.rows, name="threads-rows"),
    path("leads/new", views.new, name="lead-new"),
    path("leads/<int:lead_id>", views.lead, name="lead"),
    path("leads/<int:lead_id>/edit", views.edit, name="lead-edit"),
    path("leads/<int:lead_id>/unpin", views.unpin, name="lead-unpin"),
    path("leads/<int:lead_id>/opt-out", views.opt_out, name="lead-opt-out"),
    path("leads/<int:lead_id>/opt-in", views.opt_in, name="lead-opt-in"),
    path("leads/<int:lead_id>/archive", views.archive, name="lead-archive"),
    path("leads/<int:lead_id>/restore", views.restore, name="lead-restore"),
    path("leads/<int:lead_id>/erase", views.erase, name="lead-erase"),
    path("runs/<int:run_id>/undo", undo_views.undo, name="run-undo"),
    path("undos/<int:undo_id>", undo_views.undone, name="undo"),
    path("undos/<int:undo_id>/take-back", undo_views.take_back_undo, name="undo-take-back"),
]
