"""Limits: 110 in ten seconds with headers, five searches a second without, and nothing refused when unlimited."""

import httpx2

from leadloom.sandbox import Sandbox

LIST = "/crm/v3/objects/contacts"


def test_the_111th_call_in_ten_seconds_is_refused_and_the_window_rolls_on(api: httpx2.Client, box: Sandbox) -> None:
    box.set_limits("real")
    replies = [api.get("/account-info/v3/details") for _ in range(111)]
    assert [one.status_code for one in replies] == [200] * 110 + [429]
    assert replies[0].headers["x-hubspot-ratelimit-max"] == "110"
    assert replies[0].headers["x-hubspot-ratelimit-remaining"] == "109"
    assert replies[0].headers["x-hubspot-ratelimit-interval-milliseconds"] == "10000"
    refused = replies[-1].json()
    assert refused["policyName"] == "TEN_SECONDLY_ROLLING"
    assert refused["message"] == "You have reached your ten_secondly_rolling limit."
    assert "retry-after" not in replies[-1].headers
    box.advance(10)
    assert api.get(LIST).status_code == 200


def test_the_sixth_search_in_a_second_is_refused_and_no_search_tells_the_rate(api: httpx2.Client, box: Sandbox) -> None:
    box.set_limits("real", searches=5)
    replies = [api.post(f"{LIST}/search", json={"limit": 1}) for _ in range(6)]
    assert [one.status_code for one in replies] == [200] * 5 + [429]
    assert replies[-1].json()["message"] == "You have reached your secondly limit."
    assert not any(name.startswith("x-hubspot-ratelimit") for one in replies for name in one.headers)
    assert api.get(LIST).status_code == 200


def test_without_limits_nothing_is_refused_and_the_headers_promise_plenty(api: httpx2.Client, box: Sandbox) -> None:
    replies = [api.get(LIST, params={"limit": 1}) for _ in range(150)]
    assert {one.status_code for one in replies} == {200}
    assert int(replies[-1].headers["x-hubspot-ratelimit-remaining"]) > 100_000


def test_a_private_app_has_a_day(api: httpx2.Client, box: Sandbox) -> None:
    box.set_limits("private")
    headers = api.get(LIST).headers
    assert headers["x-hubspot-ratelimit-max"] == "100"
    assert headers["x-hubspot-ratelimit-daily-remaining"] == "249999"


def test_the_sandbox_counts_what_it_was_asked(api: httpx2.Client, box: Sandbox) -> None:
    box.set_limits("real", burst=3)
    someone = next(box.contacts()).id
    for path in (LIST, LIST, f"{LIST}/{someone}", LIST):
        api.get(path)
    stats = box.stats()
    assert stats.requests == 4
    assert stats.paths == {f"GET {LIST}": 3, f"GET {LIST}/{{id}}": 1}
    assert stats.statuses == {200: 3, 429: 1}
    assert stats.refused == 1
    assert stats.peak_per_ten_seconds == 4


def test_latency_does_not_queue_requests_up(box: Sandbox, api: httpx2.Client) -> None:
    from concurrent.futures import ThreadPoolExecutor

    box.set_latency(200)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: api.get(LIST), range(8)))
    assert box.stats().most_at_once >= 4
