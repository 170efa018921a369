"""Sessions as Django keeps them in the database. A cookie that cannot be a session's key is not looked up.

Browsers may quote a cookie and write any byte into it; PostgreSQL takes no NUL, and the request would end as our fault.
"""

from django.contrib.sessions.backends.db import SessionStore as DatabaseSessions


class SessionStore(DatabaseSessions):
    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key if session_key and session_key.isascii() and session_key.isalnum() else None)
