"""Two people pressing the same button at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connection as db
from tests.factories import make_connection

from leadloom.accounts.models import Member
from leadloom.accounts.scope import account_scope
from leadloom.connections.models import Run
from leadloom.connections.services import request_run


def test_refreshing_at_once_joins_one_run(alice: Member) -> None:
    connection = make_connection(alice.account)
    people = 6
    ready = Barrier(people)

    def refresh() -> tuple[int, bool]:
        try:
            ready.wait(10)
            with account_scope(alice.account_id):
                run, joined = request_run(connection=connection, trigger="manual", member=alice)
                return run.pk, joined
        finally:
            db.close()

    with ThreadPoolExecutor(people) as pool:
        answers = [future.result() for future in [pool.submit(refresh) for _ in range(people)]]
    assert len({run for run, _ in answers}) == 1
    assert sorted(joined for _, joined in answers) == [False] + [True] * (people - 1)
    with account_scope(alice.account_id):
        assert Run.objects.count() == 1
