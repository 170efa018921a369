"""The population: the same every time, realistic, with numbers that are valid and unique unless shared on purpose."""

from collections import Counter

import phonenumbers
import pytest

from leadloom.sandbox.clock import DAY_MS
from leadloom.sandbox.people import Population
from leadloom.sandbox.phones import PLANS
from leadloom.sandbox.timeline import NEWEST_AGE_MS, SPAN_MS, Timeline

NOW_MS = 1_795_000_000_000
COUNTRIES = {name: plan.region for plan in PLANS for name in plan.names}


def population(count: int = 5000, seed: int = 3) -> Population:
    return Population(count=count, seed=seed, now_ms=NOW_MS)


def test_the_same_seed_gives_the_same_people_in_any_order() -> None:
    forward, backward = population(), population()
    assert [forward.person(n)[1:] for n in range(300)] == [backward.person(n)[1:] for n in reversed(range(300))][::-1]


def test_another_seed_gives_other_people() -> None:
    ours, theirs = population(seed=3), population(seed=4)
    assert sum(ours.person(n).email == theirs.person(n).email for n in range(200)) < 20


def test_every_number_is_valid_in_its_owners_country_and_is_the_number_we_say() -> None:
    people = population()
    for place in range(3000):
        person = people.person(place)
        if not person.phone_e164:
            continue
        number = phonenumbers.parse(person.phone, COUNTRIES.get(person.persona.country or "", "US"))
        assert phonenumbers.is_valid_number(number), person.phone
        assert phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == person.phone_e164


def test_almost_every_number_is_unique_and_a_few_are_shared_by_two() -> None:
    people = population()
    shares = Counter(
        Counter(one.phone_e164 for place in range(5000) if (one := people.person(place)).phone_e164).values()
    )
    assert set(shares) == {1, 2}
    assert 5 < shares[2] < 100


def test_a_few_addresses_are_shared_and_found_by_address() -> None:
    people = population()
    mails = Counter(one.email for place in range(5000) if (one := people.person(place)).email)
    assert 5 < sum(count > 1 for count in mails.values()) < 100
    assert people.place_of_email(people.person(0).email or "x") in {0, None}
    found = [people.place_of_email(people.person(place).email) for place in range(200) if people.person(place).email]
    assert None not in found


@pytest.mark.parametrize(
    ("what", "holds"),
    [
        ("no phone at all", lambda one: not one.phone and not one.mobile),
        ("mobile only", lambda one: not one.phone and one.mobile),
        ("both numbers", lambda one: one.phone and one.mobile),
        ("no e-mail", lambda one: not one.email),
        ("neither number nor e-mail", lambda one: not (one.phone or one.mobile or one.email)),
        ("no name", lambda one: not one.persona.first and not one.persona.last),
        ("an extension", lambda one: "ext" in one.phone or " x" in one.phone),
        ("words for a number", lambda one: one.phone and not one.phone_e164),
        ("opted out", lambda one: one.persona.opted_out),
        ("linked company, no company text", lambda one: one.persona.firm is not None and one.persona.company is None),
        ("right-to-left name", lambda one: any("\u0590" <= letter <= "\u06ff" for letter in one.persona.last or "")),
        ("emoji in the name", lambda one: any(letter > "\U0001f000" for letter in one.persona.first or "")),
        ("Germany", lambda one: one.phone_e164.startswith("+49")),
        ("Britain", lambda one: one.phone_e164.startswith("+44")),
        ("France", lambda one: one.phone_e164.startswith("+33")),
        ("India", lambda one: one.phone_e164.startswith("+91")),
    ],
)  # fmt: skip
def test_there_are_some_but_not_many_with(what: str, holds: object) -> None:
    people = population()
    assert callable(holds)
    assert 5 <= sum(bool(holds(people.person(place))) for place in range(5000)) <= 3000, what


def test_people_are_created_over_three_years_up_to_minutes_ago_and_not_in_order_of_id() -> None:
    created = [population().timeline.times(place)[0] for place in range(5000)]
    assert max(created) == NOW_MS - NEWEST_AGE_MS
    assert NOW_MS - SPAN_MS - DAY_MS < min(created) < NOW_MS - SPAN_MS + 3 * DAY_MS
    assert created != sorted(created)
    assert len(set(created)) == len(created)


def test_nobody_is_modified_before_creation_or_in_the_future() -> None:
    timeline = population().timeline
    for place in range(5000):
        created, modified = timeline.times(place)
        assert created < modified <= NOW_MS


def test_most_come_back_seven_to_nine_hours_after_creation() -> None:
    timeline = population().timeline
    delays = [(modified - created) / 3_600_000 for created, modified in map(timeline.times, range(5000))]
    assert 0.85 < sum(7 <= delay <= 9 for delay in delays) / 5000 < 0.95


@pytest.mark.parametrize("count", [0, 1, 2, 14, 997, 3000])
@pytest.mark.parametrize(
    ("low_h", "high_h"), [(None, None), (1, None), (12, 6), (24 * 30, 24 * 9), (24 * 800, 24 * 20), (1, 5)]
)
def test_a_time_window_found_by_arithmetic_is_what_looking_at_everybody_finds(
    count: int, low_h: int | None, high_h: int | None
) -> None:
    timeline = Timeline(count=count, now_ms=NOW_MS, seed=5)
    low = None if low_h is None else NOW_MS - low_h * 3_600_000
    high = None if high_h is None else NOW_MS - high_h * 3_600_000

    def inside(value: int) -> bool:
        return (low is None or value >= low) and (high is None or value < high)

    times = [timeline.times(place) for place in range(count)]
    assert list(timeline.modified_places(low, high)) == [at for at, one in enumerate(times) if inside(one[1])]
    created = sorted(timeline.place(rank) for rank in timeline.created_ranks(low, high))
    assert created == [at for at, one in enumerate(times) if inside(one[0])]
