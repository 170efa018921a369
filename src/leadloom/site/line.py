"""How soon a line to the database that nobody answers any more is given up: in seconds, not in the kernel's hours.

Both ends must give up: ours, or a worker waits for an answer that never comes; the server's, or somebody who is cut off
keeps his locks. What ``DATABASE_URL`` says itself is left as it is said; ``?options=`` asks nothing of the server, for
poolers that refuse it. https://www.postgresql.org/docs/18/runtime-config-connection.html#RUNTIME-CONFIG-TCP-SETTINGS
"""

from urllib.parse import unquote, urlsplit

OURS = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",  # ms; what was sent and is not confirmed, which keepalives do not look after
}
THEIRS = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15000",
    # Of somebody who lives and says nothing with a transaction open: longer than we wait for any CRM.
    "idle_in_transaction_session_timeout": "120000",
}


def line_to(url: str) -> dict[str, str]:
    """The options of a connection to this address, among them those that it says."""
    asked = " ".join(f"-c {name}={value}" for name, value in THEIRS.items())
    told = {**OURS, "options": asked, **_said(url)}
    return {name: value for name, value in told.items() if value}


def _said(url: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in urlsplit(url).query.split("&"))
    return {name: unquote(value) for name, is_so, value in pairs if is_so}
