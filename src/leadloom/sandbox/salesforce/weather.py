"""Refusals on order that only Salesforce gives: the next requests fail as it would make them fail."""

from dataclasses import dataclass

from leadloom.sandbox.http import Refusal, Reply, Request
from leadloom.sandbox.salesforce.problems import problem

_REFUSALS: dict[str, tuple[int, str, str]] = {
    "QUERY_TIMEOUT": (400, "QUERY_TIMEOUT", "Your query request was running for too long."),
    "QUERY_TOO_COMPLICATED": (400, "QUERY_TOO_COMPLICATED", "Query is selecting too many fields"),
    "CONCURRENT": (403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
    "DAILY": (403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
    "API_DISABLED_FOR_ORG": (403, "API_DISABLED_FOR_ORG", "The REST API is not enabled for this Organization."),
    "INSUFFICIENT_ACCESS": (403, "INSUFFICIENT_ACCESS", "insufficient access rights on cross-reference id"),
    "SERVER_UNAVAILABLE": (503, "SERVER_UNAVAILABLE", "Server Unavailable"),
    "UNKNOWN_EXCEPTION": (500, "UNKNOWN_EXCEPTION", "An unexpected error occurred."),
}  # fmt: skip
_MAINTENANCE = b"<html><head><title>Down for Maintenance</title></head><body>We will be back soon.</body></html>"
TROUBLES = (*_REFUSALS, "MAINTENANCE", "NOT_ACCEPTABLE")


@dataclass(slots=True)
class Trouble:
    kind: str
    times: int = 1
    path: str = ""
    """Only paths that begin so."""


class Weather:
    def __init__(self) -> None:
        self._troubles: list[Trouble] = []

    def add(self, trouble: Trouble) -> None:
        """Raises KeyError for an unknown one."""
        if trouble.kind not in TROUBLES:
            raise KeyError(trouble.kind)
        self._troubles.append(trouble)

    def strike(self, request: Request) -> None:
        """Raises what was ordered for this request, if anything was."""
        for one in self._troubles:
            if request.path.startswith(one.path):
                one.times -= 1
                if one.times <= 0:
                    self._troubles.remove(one)
                raise _refusal(one.kind)


def _refusal(kind: str) -> Refusal:
    if kind == "MAINTENANCE":  # from a server at the edge, which knows nothing of JSON
        return Refusal(Reply(503, _MAINTENANCE, b"text/html; charset=UTF-8"))
    if kind == "NOT_ACCEPTABLE":
        return Refusal(Reply(406, b"", b"text/html"))
    return problem(*_REFUSALS[kind])
