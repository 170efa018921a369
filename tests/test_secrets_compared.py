"""A comparison that stops at the first wrong letter tells, by the time it takes, how many were right. Found in the
source, so that one that is written tomorrow is found tomorrow."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import leadloom

SOURCE = Path(leadloom.__file__).parent
SECRET = re.compile(
    r"(secret|token|signature|password|digest|hmac|api_?key|(setup|invite)_code|token_hash|key_hash|credential)",
    re.IGNORECASE,
)
# What sounds like it and is nothing that somebody must know.
NOT_SECRETS = {
    ("connections/api.py", "self.credentials.method"),  # which way to sign in
    ("connections/api.py", "asked.credentials.method"),
    ("connections/grants.py", "self.token"),  # the mark of a token we hold beside that of another we hold
    ("connections/grants.py", "mark_of(token)"),
    ("site/cli.py", "token"),  # a dash: read it from the input
    ("texter/deliver.py", "delivery.lease_token"),  # whose turn it is, among our own workers
    ("texter/deliver.py", "claim.token"),
}
# The simulated CRMs hold no secrets: they hand theirs to whoever asks.
NOT_OURS = ("sandbox",)


def stops_early(how: ast.cmpop, other: ast.expr) -> bool:
    """``==``, and ``in (this, that)``, which is many of them."""
    return isinstance(how, ast.Eq | ast.NotEq) or (
        isinstance(how, ast.In | ast.NotIn) and isinstance(other, ast.Tuple | ast.List | ast.Set)
    )


def comparisons(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(map(stops_early, node.ops, node.comparators)):
            for side in (node.left, *node.comparators):
                if not isinstance(side, ast.Constant):
                    yield node.lineno, ast.unparse(side)


def test_no_secret_is_compared_by_equals() -> None:
    suspicious = []
    for file in sorted(SOURCE.rglob("*.py")):
        place = file.relative_to(SOURCE)
        if place.parts[0] in NOT_OURS or "migrations" in place.parts:
            continue
        for line, said in comparisons(ast.parse(file.read_text())):
            if SECRET.search(said) and (place.as_posix(), said) not in NOT_SECRETS:
                suspicious.append(f"{place}:{line} compares {said}")
    assert suspicious == [], "use hmac.compare_digest, or say above why it is no secret"


def test_the_search_above_would_find_one() -> None:
    for written in ("given == settings.CRON_SECRET", "given in (settings.CRON_SECRET, old)", "good not in [signature]"):
        assert [said for _, said in comparisons(ast.parse(written)) if SECRET.search(said)], written


def test_each_secret_that_strangers_may_send_is_compared_in_constant_time() -> None:
    """Where they come in. API tokens, invitations and sessions are looked up by a hash, and compared with nothing."""
    places = {"connections/hooks.py": 2, "site/health.py": 1, "accounts/setup.py": 1, "accounts/demo.py": 1}
    for place, times in places.items():
        assert (SOURCE / place).read_text().count("hmac.compare_digest(") == times, place
