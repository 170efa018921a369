"""How long a dead line to the database is believed in. tests/journeys/test_machines.py cuts real ones."""

import psycopg
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from leadloom.site.line import OURS, THEIRS, line_to

LONGEST_S = 30


def test_neither_end_believes_in_a_dead_line_for_long() -> None:
    for ends in (OURS, {name.removeprefix("tcp_"): value for name, value in THEIRS.items()}):
        idle, interval, count = (int(ends[f"keepalives_{name}"]) for name in ("idle", "interval", "count"))
        assert idle + interval * count <= LONGEST_S
        assert int(ends.get("tcp_user_timeout") or ends["user_timeout"]) <= LONGEST_S * 1000
    assert int(OURS["connect_timeout"]) <= LONGEST_S


def test_the_server_takes_what_it_is_asked_for() -> None:
    with psycopg.connect(make_conninfo(settings.DATABASE_URL, **line_to(settings.DATABASE_URL))) as connection:
        asked = conninfo_to_dict("", options=connection.info.options)["options"]
        assert all(f"-c {name}={value}" in str(asked) for name, value in THEIRS.items())


def test_pages_and_jobs_ask_for_it_too() -> None:
    options = settings.DATABASES["default"]["OPTIONS"]
    asked = {name: value for name, value in line_to(settings.DATABASE_URL).items() if name not in ("host", "port")}
    assert asked
    assert {name: options.get(name) for name in asked} == asked


def test_what_an_address_says_itself_is_left_as_it_is_said() -> None:
    told = line_to("postgresql://a@b/c?keepalives_idle=60&options=&sslmode=verify-full&host=%2Frun%2Fpg")
    assert told["keepalives_idle"] == "60"
    assert told["host"] == "/run/pg"
    assert told["sslmode"] == "verify-full"
    assert "options" not in told, "for a pooler that takes none"
