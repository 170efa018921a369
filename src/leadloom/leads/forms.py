"""The form by which people add and edit leads. What a number or a double is, ``services`` decides."""

from django import forms


class LeadForm(forms.Form):
    name = forms.CharField(max_length=300, required=False, label="Name")
    phone = forms.CharField(
        max_length=60,
        required=False,
        label="Phone",
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "off"}),
    )
    email = forms.EmailField(max_length=320, required=False, label="E-mail")
    company = forms.CharField(max_length=300, required=False, label="Company")
