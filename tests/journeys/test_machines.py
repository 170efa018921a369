"""Several machines, and a line that breaks at the worst moment. All drills: ``make torture ARGS=machines``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from torture.hosts import House, open_house
from torture.machines import announce, await_end, cut_while_it_writes, open_dashboard, under_way, until_others_go_on
from torture.network import reason_against

pytestmark = pytest.mark.journey


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Web, database and CRM, each on a host of its own."""
    if reason := reason_against():
        pytest.skip(reason)
    with open_house(_open_folder(tmp_path_factory), contacts=8_000, latency_ms=60) as house:
        yield house


def _open_folder(factory: pytest.TempPathFactory) -> Path:
    """PostgreSQL does not run as root, and must get there."""
    folder = factory.mktemp("machines")
    for one in (folder, *folder.parents[:2]):
        one.chmod(0o755)
    return folder


def test_a_worker_cut_off_in_the_middle_of_a_page_is_replaced_and_nothing_is_lost_or_doubled(house: House) -> None:
    """It holds the run's row at a server that will not hear of it again, and wakes up thinking that it is alone. The
    web is cut off meanwhile too, and its open dashboards hear again by themselves."""
    with under_way(house, workers=2) as (which, holder), open_dashboard(house, which) as dashboard:
        house.until(lambda: dashboard.words > 0, "the dashboard hears of the run")
        cut_while_it_writes(house, holder)
        until_others_go_on(house, which, holder, "cut off")
        house.network.cut("web", "data")
        house.network.heal(holder, "data")
        await_end(house, which)
        house.check_complete(which)
        heard = dashboard.words
        house.network.heal("web", "data")

        def hears() -> bool:
            announce(house, which)
            return dashboard.words > heard

        house.until(hears, "the dashboard hears again")
