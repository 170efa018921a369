"""The least that reading can cost: ask for every page and throw it away. ``floor_fetch.py URL TOKEN PROPERTIES``."""

import sys

import httpx2
import msgspec

url, token, properties = sys.argv[1:]


class Next(msgspec.Struct):
    after: str


class Paging(msgspec.Struct):
    next: Next | None = None


class Body(msgspec.Struct):
    paging: Paging | None = None


def main() -> None:
    read = msgspec.json.Decoder(Body).decode
    http = httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {token}"})
    after = ""
    while True:
        query = {"limit": "100", "properties": properties, "archived": "false"}
        body = read(http.get("/crm/v3/objects/contacts", params=query | ({"after": after} if after else {})).content)
        if body.paging is None or body.paging.next is None:
            return
        after = body.paging.next.after


main()
