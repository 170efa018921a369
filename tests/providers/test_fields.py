"""Vendor values of any type and shape become clean text, times and flags; nothing raises."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadloom.providers import fields

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800 half"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(anything)
def test_no_value_is_too_odd_to_read(value: object) -> None:
    for read in (fields.text(value), fields.long_text(value), *fields.parts(value)):
        assert read == read.strip()
        assert "\x00" not in read
        read.encode()  # what PostgreSQL is sent
    assert isinstance(fields.is_true(value), bool)
    at = fields.time(value)
    assert at is None or at.tzinfo is UTC
    fields.emails([value])
    fields.full_name(value, value)


def test_a_number_too_long_to_write_out_is_blank() -> None:
    assert fields.text(10**5000) == ""


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ("  Ada \t Lovelace\n", "Ada Lovelace"),
        ("Ada\x00Lovelace", "AdaLovelace"),  # PostgreSQL refuses the NUL
        ("\u202aAda\u202c\ufeff", "Ada"),  # copied from a chat
        ("\ud83dAda", "Ada"),  # half an emoji
        ("👨‍👩‍👧 Family", "👨‍👩‍👧 Family"),  # whole ones are held together by joiners
        ("José", "José"),
        (42, "42"),
        (0, "0"),
        (True, ""),  # a flag is no name
        (["Ada"], ""),
        ({"name": "Ada"}, ""),
        (None, ""),
        ("x" * 400, "x" * 300),
    ],
)
def test_text_is_one_clean_line(value: object, clean: str) -> None:
    assert fields.text(value) == clean


def test_a_description_keeps_its_lines_and_its_length() -> None:
    assert fields.long_text("first\nsecond\x00") == "first\nsecond"
    assert len(fields.long_text("x" * 30_000)) == fields.LONGEST_TEXT


@pytest.mark.parametrize(
    ("value", "is_true"),
    [
        ("true", True), ("True", True), ("1", True), ("yes", True), (True, True), (1, True),
        ("false", False), ("FALSE", False), ("0", False), ("no", False), ("", False), (None, False), (False, False),
        ("2026-03-01", True),  # opted out on that day
        (1767225600000, True),  # likewise, in milliseconds
        ("somewhat", True),  # in doubt it is set
        (["sms"], True),  # do not disturb: by text
        ([], False),
    ],
)  # fmt: skip
def test_a_flag_means_what_the_vendor_means(value: object, is_true: bool) -> None:
    assert fields.is_true(value) is is_true


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01T12:00:00.000Z", NOON),
        ("2026-03-01T13:00:00+01:00", NOON),
        ("2026-03-01 12:00:00", NOON),  # no zone: UTC
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("1772366400000", NOON),
        (1772366400000, NOON),
        ("20260301", datetime(2026, 3, 1, tzinfo=UTC)),  # a date, not twenty million milliseconds
        ("yesterday", None),
        ("", None),
        (True, None),
        ("9" * 30, None),
        ("0001-01-01T00:00:00+14:00", None),  # before time began
        (float("nan"), None),
    ],
)
def test_a_time_is_utc_or_nothing(value: object, at: datetime | None) -> None:
    assert fields.time(value) == at


def test_addresses_are_lower_case_and_listed_once() -> None:
    assert fields.emails([" Jane@Acme.COM", "jane@acme.com", "j@acme.co.uk"]) == ("jane@acme.com", "j@acme.co.uk")


@pytest.mark.parametrize(
    "value", ["", "jane", "jane@acme", "@acme.com", "a@b@c.com", "a b@c.com", "jane@acme.", None, 5]
)
def test_what_is_no_address_is_left_out(value: object) -> None:
    assert fields.emails([value]) == ()


def test_half_an_address_is_not_somebody_elses() -> None:
    assert fields.emails([f"{'x' * 300}@acme.com"]) == ()
    assert fields.emails([f"{'x' * 246}@a.community"]) == ()  # cut to 254 it would read @a.commun


def test_names_are_joined_and_never_invented() -> None:
    assert fields.full_name("Ada", "Lovelace") == "Ada Lovelace"
    assert fields.full_name(None, "Lovelace") == "Lovelace"
    assert fields.full_name("Ada", "") == "Ada"
    assert fields.full_name(None, None) == ""


@pytest.mark.parametrize(
    ("country", "region"),
    [
        ("Germany", "DE"), ("Deutschland", "DE"), ("de", "DE"), ("DEU", "DE"), (" GERMANY ", "DE"),
        ("U.S.A.", "US"), ("USA", "US"), ("United States", "US"), ("UK", "GB"), ("gbr", "GB"), ("England", "GB"),
        ("日本", "JP"), ("España", "ES"), ("Türkiye", "TR"), ("Côte d'Ivoire", None), ("XX", None), ("", None),
    ],
)  # fmt: skip
def test_a_country_is_known_by_its_common_names(country: str, region: str | None) -> None:
    assert fields.region_of(country) == region
