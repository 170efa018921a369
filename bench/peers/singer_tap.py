"""A Singer tap made with the Singer SDK as its documentation shows, for the same list of contacts.

It writes records and state to its standard output; ``target-postgres`` upserts them by id. No phone numbers, no
matching, no leads. Run by the interpreter the SDK is installed for: ``singer_tap.py --config FILE``.
"""

from typing import Any

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator


class Contacts(RESTStream):
    name = "contacts"
    path = "/crm/v3/objects/contacts"
    primary_keys = ("id",)
    records_jsonpath = "$.results[*]"
    next_page_token_jsonpath = "$.paging.next.after"
    schema = th.PropertiesList(
        th.Property("id", th.StringType),
        th.Property("properties", th.ObjectType(additional_properties=True)),
        th.Property("createdAt", th.DateTimeType),
        th.Property("updatedAt", th.DateTimeType),
        th.Property("archived", th.BooleanType),
        th.Property("url", th.StringType),
    ).to_dict()

    @property
    def url_base(self) -> str:
        return self.config["url"]

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        return BearerTokenAuthenticator(token=self.config["token"])

    def get_url_params(self, _context: Any, next_page_token: Any) -> dict[str, Any]:
        asked = {"limit": 100, "properties": self.config["properties"], "archived": "false"}
        return asked | ({"after": next_page_token} if next_page_token else {})


class HubSpotTap(Tap):
    name = "tap-contacts"
    config_jsonschema = th.PropertiesList(
        th.Property("url", th.StringType, required=True),
        th.Property("token", th.StringType, required=True, secret=True),
        th.Property("properties", th.StringType, required=True),
    ).to_dict()

    def discover_streams(self) -> list[Contacts]:
        return [Contacts(tap=self)]


if __name__ == "__main__":
    HubSpotTap.cli()
