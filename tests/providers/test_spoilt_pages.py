"""A CRM, or a cache before it, that answers with a page it gave before, or with its rows turned around: whatever a
provider makes of such pages, nobody is left out. The pass may stop; it then goes on where it was saved."""

import json
import re
from collections import defaultdict
from random import Random

import pytest
from tests.providers.conformance import NOW, Crm, crm_with_contacts, kept

from leadloom.errors import TryLater, Unreadable
from leadloom.providers.base import Cursor, Feed, Provider, Reply, Request
from leadloom.providers.catalogue import all_providers
from leadloom.sync import pages
from leadloom.sync.pages import read_pages

SPOILT = 0.15  # of all replies
MOST_STARTS = 60
_VALUE = re.compile(r"'[^']*'|\d{4}-\d\d-\d\dT[0-9:.+Z-]+")


class Spoiling:
    """Sends to a CRM whose replies are not always those asked for."""

    def __init__(self, crm: Crm, dice: Random) -> None:
        self._crm, self._dice = crm, dice
        self._given: defaultdict[str, list[Reply]] = defaultdict(list)

    def send(self, request: Request) -> Reply:
        reply = self._crm.answer(request)
        given = self._given[question(request)]
        given.append(reply)
        chance = self._dice.random()
        if chance < SPOILT / 2:
            return self._dice.choice(given)
        return turned_around(reply) if chance < SPOILT else reply

    def wait(self, seconds: float) -> None:
        pass


def question(request: Request) -> str:
    """What is asked, whatever the place in it: a cache that mixes up pages does not mix up questions."""
    body = request.body if isinstance(request.body, dict) else {}
    order = [body.get(name) for name in ("sort", "sorts")]
    words = _VALUE.sub("?", str(request.query.get("q", "")))  # SOQL is the question and the place in one
    return json.dumps([request.method, request.path, sorted(request.query), sorted(body), order, words])


def turned_around(reply: Reply) -> Reply:
    try:
        body = json.loads(reply.body)
    except ValueError:  # a reply without a body
        return reply
    told = {name: value[::-1] if isinstance(value, list) else value for name, value in body.items()}
    return Reply(reply.status, reply.headers, json.dumps(told).encode())


def read_to_the_end(feed: Feed, source: Spoiling) -> set[str]:
    """Who was met, begun again from what was saved as often as it takes."""
    cursor: Cursor = kept(feed.first(bookmark=None, now=NOW))
    met: set[str] = set()
    for _ in range(MOST_STARTS):
        try:
            for page in read_pages(feed, cursor, source):
                met |= {str(record["id"]) for record in page.records}
                if page.next is None:
                    return met
                cursor = kept(page.next)
        except (Unreadable, TryLater):
            continue
    pytest.fail(f"the pass does not end: {len(met)} were met")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("contacts", [700, 950])  # in one lane: of several, one could be given a page of another
@pytest.mark.parametrize("way", ["everything", "changes"])
@pytest.mark.parametrize("provider", all_providers(), ids=lambda provider: provider.slug)
def test_nobody_is_left_out_by_pages_that_come_twice_or_turned_around(
    provider: Provider, way: str, contacts: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "IMPATIENT_AFTER_S", 60)  # on a busy machine, too, a vendor that answers is read in one
    crm = crm_with_contacts(provider.slug, contacts)
    met = read_to_the_end(getattr(provider, way)(), Spoiling(crm, Random(seed)))
    assert len(met) == contacts
