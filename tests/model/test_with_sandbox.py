"""The same model beside a simulated HubSpot over HTTP: the worker's whole way, the vendor's mapping and feeds."""

from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest
from tests.factories import make_member
from tests.model.compare import compare
from tests.model.model import World
from tests.model.page import tell
from tests.model.real import Real

from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run
from leadloom.connections.services import connect_with_token, request_run
from leadloom.sandbox import Sandbox
from leadloom.sync.engine import Mapped
from leadloom.sync.sink import DatabaseSink, _in_order
from leadloom.sync.work import work_on

NUMBERS = ("+14155550101", "+14155550102", "(415) 555-0103", "call me", "")


@pytest.mark.parametrize("seed", [1, 2])
def test_what_hubspot_tells_over_http_becomes_what_the_model_says(
    committed: None, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    saved: list[Sequence[Mapped]] = []
    save = DatabaseSink.save

    def save_and_tell(sink: DatabaseSink, pages: Sequence[Mapped]) -> None:
        save(sink, pages)
        saved.append(pages)

    monkeypatch.setattr(DatabaseSink, "save", save_and_tell)
    random, member, world = Random(seed), make_member(), World()
    with Sandbox(contacts=30, seed=seed) as box:
        with account_scope(member.account_id):
            crm, run = connect_with_token(
                account=member.account, member=member, provider="hubspot", token=box.token, base_url=box.url
            )
            Connection.objects.update(method="sandbox", settings={"is_unpaced": True})
        real = Real(member, {"hubspot": crm})
        for turn in range(10):
            if turn:
                for _ in range(3):
                    something_happens(box, random)
                box.advance(120)
                real.let_a_day_pass()
                run = asked(crm, strategy="overwrite" if turn % 5 == 0 else "append")
            run = work_on(run.pk, run.account_id)
            assert (run.state, run.error) == ("done", "")
            follow(world, run, saved)
            compare(world, real)


def something_happens(box: Sandbox, random: Random) -> None:
    ids = [one.id for one in box.contacts()]
    values = {
        "phone": random.choice(NUMBERS),
        "email": f"p{random.randrange(10_000)}@example.com",
        "firstname": random.choice(("Ann", "")),
    }
    one, other = random.sample(ids, 2)
    match random.randrange(5):
        case 0:
            box.create(**values)
        case 1 | 2:
            box.change(one, **values)
        case 3:
            box.archive(one)
        case 4:
            box.merge(one, other)


def asked(crm: Connection, *, strategy: str) -> Run:
    with account_scope(crm.account_id):
        run, _ = request_run(connection=Connection.objects.get(pk=crm.pk), trigger="manual", strategy=strategy)
    return run


def follow(world: World, run: Run, saved: list[Sequence[Mapped]]) -> None:
    """Tell the model what the run saved; it counts the same."""
    counted: Counter[str] = Counter()
    met: set[str] = set()
    held = [pages for pages in saved if not pages[-1].is_reply]
    for pages in saved[: len(saved) - len(held)]:
        for group in _in_order(pages):
            told, ids = tell(world, "hubspot", run.pk, group, is_overwrite=run.strategy == "overwrite")
            counted += told
            met |= ids
    saved.clear()
    if run.strategy == "overwrite":
        counted["gone"] += world.mark_absent("hubspot", run.pk, met)
        world.archive_left("hubspot")
    for pages in held:
        counted += tell(world, "hubspot", run.pk, pages, is_overwrite=run.strategy == "overwrite")[0]
    counted["seen"] = counted.total() - counted["gone"]
    assert {name: number for name, number in run.counters.items() if number} == +counted
