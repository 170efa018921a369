"""What of one change may be set back: decided from the change and the lead alone."""

from datetime import UTC, datetime
from typing import Any

import pytest

from leadloom.leads.reversal import CRM_FACTS, WHY_KEPT, is_same, reverse

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def lead(**fields: Any) -> dict[str, Any]:
    values = {"name": "", "phone": None, "email": "", "company": "", **CRM_FACTS, "crm_id": "7"}
    kept = {"opted_out": False, "pinned": [], "archived_at": None, "archived_reason": ""}
    return {**values, **kept, **fields}


def test_a_field_that_holds_what_the_change_left_is_set_back() -> None:
    done = reverse(lead(name="Ann"), before={"name": "Anna"}, after={"name": "Ann"}, touched=())
    assert (done.set_back, done.kept, done.archived) == ({"name": "Anna"}, {}, None)


@pytest.mark.parametrize(("now", "touched"), [("Annie", ()), ("Ann", {"name"})])
def test_a_field_that_somebody_touched_since_stays_whatever_it_holds(now: str, touched: Any) -> None:
    done = reverse(lead(name=now), before={"name": "Anna"}, after={"name": "Ann"}, touched=touched)
    assert (done.set_back, done.kept) == ({}, {"name": "changed_since"})


def test_one_field_that_stays_does_not_keep_the_others() -> None:
    before, after = {"name": "Anna", "company": "Old"}, {"name": "Ann", "company": "New"}
    done = reverse(lead(name="Ann", company="Elsewhere"), before=before, after=after, touched=())
    assert (done.set_back, done.kept) == ({"name": "Anna"}, {"company": "changed_since"})


def test_an_opt_out_is_never_set_back() -> None:
    before, after = {"opted_out": False, "name": ""}, {"opted_out": True, "name": "Ann"}
    done = reverse(lead(name="Ann", opted_out=True), before=before, after=after, touched=())
    assert (done.set_back, done.kept) == ({"name": ""}, {"opted_out": "opt_out"})


def test_a_moment_is_the_same_however_it_is_written() -> None:
    assert is_same(NOON, "2026-11-01T13:00:00+01:00")
    assert not is_same(NOON, "2026-11-01T12:00:00.000001+00:00")
    assert not is_same(NOON, None)
    assert is_same(None, None)


def test_undoing_a_link_takes_all_that_the_crm_said_away_and_pins_nothing_any_more() -> None:
    linked = lead(crm_id="7", crm_source="hubspot", crm_connection_id=3, crm_owner="Olga", pinned=["name"], name="Ann")
    before, after = {"crm_id": "", "pinned": []}, {"crm_id": "7", "pinned": ["name"]}
    done = reverse(linked, before=before, after=after, touched={"crm_owner"})
    blank = {"crm_id": "", "crm_source": "", "crm_connection_id": None, "crm_owner": "", "pinned": []}
    assert (done.set_back, done.kept) == (blank, {})


def test_a_pin_set_since_stays_when_a_link_is_undone() -> None:
    linked = lead(crm_id="7", crm_source="hubspot", crm_connection_id=3, pinned=["company", "name"])
    done = reverse(
        linked, before={"crm_id": "", "pinned": []}, after={"crm_id": "7", "pinned": ["name"]}, touched={"pinned"}
    )
    assert "pinned" not in done.set_back
    assert done.set_back["crm_id"] == ""


def test_a_link_that_is_another_one_by_now_stays() -> None:
    done = reverse(lead(crm_id="8", crm_owner="Olga"), before={"crm_id": ""}, after={"crm_id": "7"}, touched=())
    assert (done.set_back, done.kept) == ({}, {"crm_id": "changed_since"})


def test_taking_back_the_undo_of_a_link_brings_what_the_crm_said() -> None:
    before = {"crm_id": "7", "crm_source": "hubspot", "crm_connection_id": 3, "crm_last_activity_at": NOON.isoformat()}
    after = {"crm_id": "", "crm_source": "", "crm_connection_id": None, "crm_last_activity_at": None}
    assert reverse(lead(crm_id=""), before=before, after=after, touched=()).set_back == before


@pytest.mark.parametrize(
    ("archived", "reason", "touched", "comes_back"),
    [
        (NOON, "left_crm", (), False),
        (NOON, "undone", (), False),
        (NOON, "by_hand", (), None),
        (NOON, "merged", (), None),
        (NOON, "left_crm", {"archived_at"}, None),
        (None, "", (), None),
    ],
)
def test_a_lead_comes_back_only_if_no_person_put_it_away(
    archived: Any, reason: str, touched: Any, comes_back: Any
) -> None:
    held = lead(archived_at=archived, archived_reason=reason)
    assert reverse(held, before={"archived": False}, after={"archived": True}, touched=touched).archived is comes_back


def test_leads_that_were_merged_stay_one() -> None:
    after = {"archived": True, "merged_into_lead": 9}
    done = reverse(
        lead(archived_at=NOON, archived_reason="merged"), before={"archived": False}, after=after, touched=()
    )
    assert (done.archived, done.kept) == (None, {"lead": "merged"})
    assert set(done.kept.values()) <= set(WHY_KEPT)
