"""Where the next pass starts: never after anything that this one may have missed."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from leadloom.providers.feeds import next_bookmark

times = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - zone beside
OVERLAP = timedelta(minutes=5)


@given(latest=st.none() | times, started=times, previous=st.none() | times)
def test_a_bookmark_never_goes_back_nor_past_what_was_seen(
    latest: datetime | None, started: datetime, previous: datetime | None
) -> None:
    found = next_bookmark(latest_seen=latest, started=started, overlap=OVERLAP, previous=previous)
    assert previous is None or found >= previous
    if found != previous:
        assert found == min(latest or started, started) - OVERLAP


@given(started=times, previous=times)
def test_a_pass_that_saw_nothing_leaves_the_bookmark_where_it_was(started: datetime, previous: datetime) -> None:
    assert next_bookmark(latest_seen=None, started=started, overlap=OVERLAP, previous=previous) == previous
