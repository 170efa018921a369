"""What people type into the account pages. Forms only read; services write."""

from typing import Any

from django import forms
from django.contrib.auth import password_validation
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm

from leadloom.accounts.models import Role, Scope, User
from leadloom.accounts.regions import REGIONS


class SignInForm(AuthenticationForm):
    """Django's, by e-mail. Its error does not tell whether the e-mail or the password was wrong."""

    error_messages = {
        "invalid_login": "That e-mail and password do not go together. Check both and try again.",
        "inactive": "This sign-in has been switched off.",
    }

    username = forms.EmailField(
        label="E-mail", widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"})
    )
    password = forms.CharField(
        label="Password", strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )

    def clean_username(self) -> str:
        return str(self.cleaned_data["username"]).lower()


class NewPersonForm(forms.Form):
    """Somebody who makes themself known: on their own, or by an invitation."""

    name = forms.CharField(label="Your name", max_length=200, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    password = forms.CharField(
        label="Password",
        strip=False,
        max_length=128,  # hashing is slow on purpose; endless passwords would let strangers keep us busy
        help_text="At least 10 characters. A few words are easy to remember and hard to guess.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    email = ""  # of the invitation; SignUpForm asks for it

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if password := cleaned.get("password"):
            person = User(email=cleaned.get("email", self.email), name=cleaned.get("name", ""))
            try:
                password_validation.validate_password(password, person)
            except forms.ValidationError as error:
                self.add_error("password", error)
        return cleaned


class SignUpForm(NewPersonForm):
    """A person with an account of their own."""

    account_name = forms.CharField(
        label="Company", max_length=200, widget=forms.TextInput(attrs={"autocomplete": "organization"})
    )
    email = forms.EmailField(  # type: ignore[assignment]
        label="E-mail", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "username"})
    )
    field_order = ["name", "account_name", "email", "password"]

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()


class InviteForm(forms.Form):
    email = forms.EmailField(label="E-mail", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    role = forms.ChoiceField(label="Role", choices=Role.choices, initial=Role.MEMBER)


class RoleForm(forms.Form):
    role = forms.ChoiceField(label="Role", choices=Role.choices)


class TokenForm(forms.Form):
    name = forms.CharField(
        label="What is it for?", max_length=100, help_text="For instance: Zapier, or our data warehouse."
    )
    scope = forms.ChoiceField(
        label="What may it do?", choices=Scope.choices, initial=Scope.READ, required=False,
        help_text="To connect, refresh or disconnect a CRM it must change things; for reports, reading is enough.",
    )  # fmt: skip

    def clean_scope(self) -> Scope:
        """The least, unless more was asked for."""
        return Scope(self.cleaned_data["scope"] or Scope.READ)


class PersonForm(forms.Form):
    name = forms.CharField(label="Your name", max_length=200, widget=forms.TextInput(attrs={"autocomplete": "name"}))


class AccountForm(forms.Form):
    name = forms.CharField(label="Account name", max_length=200)
    region = forms.ChoiceField(
        label="Default region for phone numbers",
        choices=REGIONS,
        help_text="Reads numbers that your CRM holds without a country code.",
    )


class NewPasswordForm(PasswordChangeForm):
    """Django's; asks for the old password first."""
