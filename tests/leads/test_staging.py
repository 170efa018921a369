"""What a contact holds comes out of the staging table as it went in, whatever characters it is made of."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from leadloom.contact import Contact, Phone
from leadloom.leads.staging import Rejected, Stager, staged_line
from leadloom.leads.store import _copy, _sql

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
TIMES = st.none() | st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1))  # noqa: DTZ001 - hypothesis wants it naive


def stage(*contacts: Contact | Rejected) -> list[dict[str, object]]:
    with connection.cursor() as cursor:
        cursor.execute(_sql("01_stage"))
        _copy(map(Stager(is_first=False), contacts))
        cursor.execute("SELECT * FROM staged ORDER BY ordinal")
        assert cursor.description
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


class TestAnything(TestCase):
    @given(
        text=WORDS,
        other=WORDS,
        merged=st.lists(WORDS.filter(bool), max_size=3),
        at=TIMES,
        opted_out=st.booleans(),
    )
    def test_every_text_and_time_survives(
        self, text: str, other: str, merged: list[str], at: datetime | None, opted_out: bool
    ) -> None:
        contact = Contact(
            external_id=f"id{text}",
            name=text,
            company=other,
            description=f"{other}\n\t\\{text}",
            phones=(Phone(text, other, "+14155550100"),),
            emails=(text,),
            last_activity_at=at,
            modified_at=at,
            opted_out=opted_out,
            merged_ids=tuple(merged),
            raw=b'{"a": "back\\\\slash \\n line"}',
        )
        [row] = stage(contact)
        assert (row["external_id"], row["name"], row["company"]) == (contact.external_id, text, other)
        assert row["crm_description"] == contact.description
        assert (row["phone"], row["email"]) == ("+14155550100", text)
        assert (row["crm_last_activity_at"], row["modified_at"], row["opted_out"]) == (at, at, opted_out)
        assert row["merged_ids"] == merged
        assert row["raw"] == {"a": "back\\slash \n line"}


@pytest.mark.django_db
def test_a_rejected_record_keeps_its_reason_and_value_and_has_no_hash() -> None:
    [row] = stage(Rejected("i\td", "unreadable_record", "two\nlines\\"))
    assert (row["external_id"], row["reason"], row["reason_value"]) == ("i\td", "unreadable_record", "two\nlines\\")
    assert row["content_hash"] is None


@pytest.mark.django_db
def test_equal_content_has_one_hash_whatever_its_timestamps_and_other_content_another() -> None:
    first, later, other, shifted = stage(
        Contact(external_id="1", name="Ann", company="Acme", modified_at=NOW, created_at=NOW),
        Contact(external_id="2", name="Ann", company="Acme"),
        Contact(external_id="3", name="Ann", company="Acme Ltd"),
        Contact(external_id="4", name="Ann\tAcme", company=""),
    )
    assert first["content_hash"] == later["content_hash"]
    assert len({bytes(row["content_hash"]) for row in (first, other, shifted)}) == 3  # type: ignore[call-overload]


def test_who_was_made_before_the_line_is_drawn_is_an_old_lead_and_nobody_is_made_in_the_future() -> None:
    made = Contact(external_id="1", created_at=datetime(2030, 1, 1, tzinfo=UTC))
    line = staged_line(made, ordinal=0, now=NOW, new_since=NOW)
    assert b"\tnew\t" in line
    assert b"2030" not in line
    line = staged_line(
        Contact(external_id="1", created_at=datetime(2020, 1, 1, tzinfo=UTC)),
        ordinal=0,
        now=NOW,
        new_since=NOW,
    )
    assert b"\told\t" in line
