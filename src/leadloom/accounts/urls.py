"""Addresses of this part: coming in, the team, API tokens, one's own settings."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from leadloom.accounts import entry, views

urlpatterns = [
    path("sign-in", entry.SignIn.as_view(), name="sign-in"),
    path("sign-up", entry.sign_up, name="sign-up"),
    path("sign-out", LogoutView.as_view(), name="sign-out"),
    path("setup", entry.set_up, name="setup"),
    path("demo", entry.enter_demo, name="demo"),
    path("invitations/<str:secret>", entry.invitation, name="invitation"),
    path("members", views.team, name="members"),
    path("members/<int:member_id>/role", views.change_role, name="member-role"),
    path("members/<int:member_id>/remove", views.remove_member, name="member-remove"),
    path("members/invitations/<int:invitation_id>/withdraw", views.withdraw_invitation, name="invitation-withdraw"),
    path("tokens", views.api_tokens, name="tokens"),
    path("tokens/<int:token_id>/revoke", views.end_token, name="token-revoke"),
    path("activity", views.activity, name="activity"),
    path("account", views.account, name="account"),
    path("account/switch", views.switch_account, name="account-switch"),
    path("account/password", views.change_password, name="password"),
]
