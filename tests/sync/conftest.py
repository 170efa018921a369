"""An account connected to a sandbox HubSpot over real HTTP, and a worker's work done in the test's own thread."""

from collections.abc import Callable, Iterator

import pytest
from tests.factories import make_member

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Connection, Run
from leadloom.connections.services import connect_with_token, request_run
from leadloom.sandbox import Sandbox
from leadloom.sync import turn
from leadloom.sync.work import work_on

type Connect = Callable[..., tuple[Connection, Run]]
type Refresh = Callable[..., Run]


@pytest.fixture(autouse=True)
def at_ones_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, a run does not make way for the jobs that nobody works on here."""
    monkeypatch.setattr(turn, "SLICE_S", 3600)


@pytest.fixture
def alice(committed: None) -> Member:
    return make_member()


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(contacts=350, seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def connect(alice: Member) -> Connect:
    def connect_to(sandbox: Sandbox, *, work: bool = True) -> tuple[Connection, Run]:
        with account_scope(alice.account_id):
            connection, run = connect_with_token(
                account=alice.account, member=alice, provider="hubspot", token=sandbox.token, base_url=sandbox.url
            )
        return connection, work_on(run.pk, run.account_id) if work else run

    return connect_to


@pytest.fixture
def refresh(alice: Member) -> Refresh:
    def run_again(connection: Connection, **options: str) -> Run:
        with account_scope(alice.account_id):
            fresh = Connection.objects.get(pk=connection.pk)
            run, _ = request_run(connection=fresh, **{"trigger": "manual", **options})
        return work_on(run.pk, run.account_id)

    return run_again


@pytest.fixture
def unpaced() -> Callable[[Connection], None]:
    """Ask the sandbox as fast as it answers: for tests whose numbers, not whose pace, are the point."""

    def lift(connection: Connection) -> None:
        with account_scope(connection.account_id):
            Connection.objects.filter(pk=connection.pk).update(method="sandbox", settings={"is_unpaced": True})

    return lift
