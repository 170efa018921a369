"""Numbers as people type them: E.164 or nothing, and the same from the fast library as from the one it mirrors."""

import importlib.util
import sys
from types import ModuleType
from unittest.mock import patch

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadloom.providers import phones
from leadloom.providers.phones import REGIONS, to_e164

# Ten ways to write a number, in three countries: how, what is typed in the US, in Britain, in Germany.
US, GB, DE = "+14155552671", "+442079460958", "+493012345678"
WAYS = [
    ("as people there write it", "(415) 555-2671", "020 7946 0958", "030 12345678"),
    ("E.164 already", "+14155552671", "+442079460958", "+493012345678"),
    ("international with spaces", "+1 415 555 2671", "+44 20 7946 0958", "+49 30 1234 5678"),
    ("the prefix 00 in place of the plus", "001 415 555 2671", "0044 20 7946 0958", "0049 30 12345678"),
    ("a zero that is not dialled from abroad", "+1 (0)415 555 2671", "+44 (0)20 7946 0958", "+49 (0)30 12345678"),
    ("an extension", "415-555-2671 x123", "020 7946 0958 ext. 5", "030 12345678 ext 12"),
    ("dots and slashes", "415.555.2671", "020.7946.0958", "030/12345678"),
    ("full-width digits", "４１５-５５５-２６７１", "０２０ ７９４６ ０９５８", "０３０ １２３４５６７８"),
    ("right-to-left marks", "\u200e+1 415\u200f 555 2671\u202c", "\u202a+44 20 7946 0958", "030\u200f 12345678"),
    ("a tel: address", "tel:+1-415-555-2671", "tel:+44-20-7946-0958;ext=5", "tel:+49-30-12345678"),
    ("words around it", "mobile: 415 555 2671 (after 5pm)", "020 7946 0958 reception", "030 12345678 (privat)"),
    ("two numbers", "415-555-2671 / 415-555-9876", "020 7946 0958; 020 7946 0111", "030 12345678 oder 030 1111"),
    ("a country code twice", "+1 +1 415 555 2671", "+4444 20 7946 0958", "+49 0049 30 12345678"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "region", "e164"),
    [
        pytest.param(text, region, e164, id=f"{region}: {way}")
        for way, *texts in WAYS
        for text, region, e164 in zip(texts, ("US", "GB", "DE"), (US, GB, DE), strict=True)
    ],
)
def test_a_number_is_understood_however_it_is_typed(text: str, region: str, e164: str) -> None:
    assert to_e164(text, region) == e164


@pytest.mark.parametrize(
    ("text", "region", "e164"),
    [
        ("1-800-FLOWERS", "US", "+18003569377"),  # a name for a number
        ("0800 FLOWERS", "GB", "+448003569377"),  # the same in Britain
        ("٤١٥٥٥٥٢٦٧١", "US", "+14155552671"),  # Arabic digits
        ("n/a / 415-555-2671", "US", "+14155552671"),  # the first part that is a number
        ("555-1234 / 415-555-9876", "US", "+14155559876"),  # the first has no area code
        ("415-555-2671\n415-555-9876", "US", "+14155552671"),  # a number a line
        ("+44 20 7946 0958", "", "+442079460958"),  # no region, none needed
        ("0171 1234567 / 0172 7654321", "DE", "+491711234567"),  # a slash between two, not inside one
    ],
)
def test_what_people_write_beside_numbers_is_seen_through(text: str, region: str, e164: str) -> None:
    assert to_e164(text, region) == e164


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("", "US"),
        ("n/a", "US"),
        ("call me", "US"),
        ("123", "US"),  # an extension alone
        ("000-000-0000", "US"),  # filled in because the form insisted
        ("1234567890", "US"),  # likewise
        ("555-0100", "US"),  # no area code: which city?
        ("2026-02-25", "DE"),  # a date in the wrong column; Essen would answer
        ("020 7946 0958", ""),  # no region and no country code
        ("020 7946 0958", "ZZ"),  # a region that is none
        ("+999 1234567", "US"),  # a country that is none
        ("+1 415 555 2671" * 20, "US"),  # not a field, an essay
        ("\ud800415", "US"),  # half a character
    ],
)
def test_what_cannot_be_dialled_is_no_number(text: str, region: str) -> None:
    assert to_e164(text, region) is None


def test_a_word_after_a_number_is_not_dialled_as_digits() -> None:
    assert to_e164("030 1234 buero", "DE") == "+49301234"  # and not …1234 28376, which is somebody else


def test_a_wrong_number_is_not_made_right_by_moving_it_to_another_country() -> None:
    assert to_e164("+44 0600000000", "US") is None  # dropping a 4 would reach Romania


def _in_pure_python() -> ModuleType:
    """The module as it is where no wheel of the fast library exists."""
    spec = importlib.util.spec_from_file_location("phones_in_pure_python", phones.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with patch.dict(sys.modules, {"rphonenumbers": None}):
        spec.loader.exec_module(module)
    return module


oracle = _in_pure_python()


def test_without_the_fast_library_the_other_does_the_work() -> None:
    assert oracle.library is phonenumbers
    assert vars(phones)["library"] is not phonenumbers
    assert oracle.REGIONS == REGIONS


def _numbers() -> st.SearchStrategy[str]:
    """Texts that look like numbers: real ones in all formats, with things around them, and near misses."""
    national = st.sampled_from(["4155552671", "2079460958", "03012345678", "9876543210", "612345678", "0312345678"])
    digits = st.text("0123456789", min_size=4, max_size=16)
    code = st.sampled_from(["", "+1", "+44", "0044", "+49 (0)", "00 ", "+", "(", "tel:+1", "１", "1-"])
    after = st.sampled_from(
        ["", " x12", " ext. 5", ";ext=7", " / 4155559876", " home", "#", "\u200f", ")", " or 2079460111"]
    )
    spaced = st.tuples(national | digits, st.sampled_from(["", " ", "-", ".", "/"]), st.integers(2, 4)).map(
        lambda made: made[1].join(made[0][at : at + made[2]] for at in range(0, len(made[0]), made[2]))
    )
    return (
        st.tuples(code, spaced, after).map("".join)
        | st.text("0123456789+-()/ .x;,#abcdef", max_size=30)
        | st.text(max_size=20)
    )


@given(_numbers(), st.sampled_from(["US", "GB", "DE", "FR", "IN", "BR", "AU", "IT", "MX", "AR", ""]))
def test_the_fast_library_answers_as_the_one_it_mirrors(text: str, region: str) -> None:
    assert to_e164(text, region) == oracle.to_e164(text, region)


@given(_numbers(), st.sampled_from(["US", "DE", ""]))
def test_what_comes_out_is_a_possible_number_and_stays_itself(text: str, region: str) -> None:
    e164 = to_e164(text, region)
    if e164 is not None:
        assert phonenumbers.is_possible_number(phonenumbers.parse(e164, None))
        assert to_e164(e164, region) == e164
