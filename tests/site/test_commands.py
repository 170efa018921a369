"""What an operator types, from connecting a CRM to reading the run's counts: the same work as through the pages."""

import io
import json
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.factories import make_member

from leadloom.accounts.models import Member
from leadloom.sandbox import Sandbox
from leadloom.site.cli import main

type Leadloom = Callable[..., "Done"]


@dataclass(frozen=True, slots=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def leadloom(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Done]]:
    """The command in this process and this test's own database: starting a Python for each would take a minute."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*args: str, typed: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", ["leadloom", *args])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
        capsys.readouterr()
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        else:
            code = 0
        return Done(code, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def answer(leadloom: Leadloom) -> Callable[..., Any]:
    def ask(*args: str, typed: str = "") -> Any:
        done = leadloom(*args, "--json", typed=typed)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


@pytest.fixture
def alice(committed: None) -> Member:
    return make_member()


def test_an_operator_connects_syncs_and_looks_without_a_browser_or_a_worker(
    alice: Member, answer: Callable[..., Any], leadloom: Leadloom
) -> None:
    with Sandbox(contacts=40) as box:
        made = answer("connect", "hubspot", "--base-url", box.url, typed=f"{box.token}\n")
        assert made["account"] == alice.account_id
        run = answer("sync", "--connection", str(made["connection"]), "--wait", "60")
        assert run["id"] == made["run"], "the run that connecting began is joined"
        assert (run["state"], run["seen"]) == ("done", 40)
        assert run["seen"] == sum(
            run[name] for name in ("created", "updated", "unchanged", "linked", "skipped", "failed")
        )
        again = answer("sync", "--connection", str(made["connection"]), "--strategy", "preview", "--wait", "60")
        assert again["state"] == "done"
    (listed,) = answer("connections")
    assert (listed["id"], listed["account_name"], listed["provider"]) == (made["connection"], "Acme", "hubspot")
    assert [one["id"] for one in answer("runs")] == [again["id"], run["id"]]
    table = leadloom("runs").stdout.splitlines()
    assert table[0].split()[:3] == ["id", "account", "connection"]
    assert len(table) == 3


def test_a_refused_token_is_one_sentence_and_is_not_shown(
    alice: Member, answer: Callable[..., Any], leadloom: Leadloom
) -> None:
    with Sandbox(contacts=1) as box:
        done = leadloom("connect", "hubspot", "--base-url", box.url, typed="pat-na1-not-a-real-token\n")
    assert done.returncode == 1
    assert done.stderr.startswith("leadloom: ")
    assert done.stderr.count("\n") == 1
    assert "pat-na1" not in done.stderr + done.stdout
    assert answer("connections") == []


def test_with_several_accounts_the_operator_must_say_which(alice: Member, leadloom: Leadloom) -> None:
    make_member(email="charlie@example.com", account_name="Other")
    done = leadloom("connect", "hubspot", typed="pat-na1-x\n")
    assert done.returncode == 1
    assert "--account" in done.stderr
    assert "Acme" in done.stderr
    assert "Other" in done.stderr


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("sync", "--connection", "77"), 1, "There is no connection 77"),
        (("sync", "--connection", "1", "--strategy", "merge"), 2, "merge"),
        (("connect", "nocrm", "--token", "x"), 1, "nocrm"),
        (("new-password", "nobody@example.com"), 1, "Nobody signs in"),
        (("sandbox", "nocrm"), 1, "There is no simulated nocrm"),
        (("web", "--port", "70000"), 2, "65535"),
        (("no-such-command",), 2, "no-such-command"),
    ],
)
def test_a_mistake_is_answered_in_words(
    alice: Member, leadloom: Leadloom, args: tuple[str, ...], code: int, words: str
) -> None:
    done = leadloom(*args)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_forgotten_password_is_replaced(alice: Member, leadloom: Leadloom) -> None:
    done = leadloom("new-password", "alice@example.com")
    assert done.returncode == 0
    alice.user.refresh_from_db()
    assert alice.user.check_password(done.stdout.strip())


def test_every_command_explains_itself(leadloom: Leadloom) -> None:
    told = leadloom("--help").stdout
    commands = "up web worker demo sandbox connect sync connections runs check migrate new-password rotate-secrets"
    assert all(f" {command} " in told for command in commands.split())
