"""Faults on order: what goes wrong with which of the next requests. Choosing only; ``server`` does the damage."""

from random import Random
from typing import Literal

import msgspec

from leadloom.sandbox.http import Request

type Kind = Literal[
    "500", "502", "503", "504", "423", "429", "477",
    "cut_json", "invalid_json", "html", "cut", "drop", "slow", "hang", "repeat", "shuffle",
]  # fmt: skip
"""Statuses, and: a body that stops mid-way though complete by its length (``cut_json``), one that is no JSON, a page of
HTML with status 200, a body cut off by the connection (``cut``), a connection dropped before any reply, a reply in
drips, no reply at all, the same reply for ever, and a page whose rows are in another order (``shuffle``)."""


class Fault(msgspec.Struct, kw_only=True):
    kind: Kind
    times: int | None = 1
    """How many matching requests it hits; None: until cleared."""
    path: str = ""
    """Only paths that begin so."""
    method: str = ""
    skip: int = 0
    """Lets so many matching requests pass first."""
    probability: float = 1.0
    """Hits each matching request with this chance, by seeded dice."""
    retry_after: int | None = None
    seconds: float = 30.0
    """How long ``hang`` hangs and ``slow`` takes in all."""


def shuffled(body: bytes) -> bytes:
    """The reply with the rows of its longest list turned around; as it is where there is none, or it is no JSON."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body
    lists = [name for name, value in told.items() if isinstance(value, list)] if isinstance(told, dict) else []
    if not lists:
        return body
    longest = max(lists, key=lambda name: len(told[name]))
    return msgspec.json.encode({**told, longest: told[longest][::-1]})


class FaultBook:
    """Faults in the order they were asked for; the first that matches a request is used."""

    def __init__(self, seed: int) -> None:
        self._dice = Random(f"faults {seed}")
        self._faults: list[Fault] = []
        self.hits = 0

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)

    def clear(self) -> None:
        self._faults.clear()

    def pick(self, request: Request) -> Fault | None:
        for fault in self._faults:
            if self._hits(fault, request):
                self.hits += 1
                return fault
        return None

    def _hits(self, fault: Fault, request: Request) -> bool:
        if not request.path.startswith(fault.path) or (fault.method and fault.method != request.method):
            return False
        if fault.skip:
            fault.skip -= 1
            return False
        if fault.probability < 1 and self._dice.random() >= fault.probability:
            return False
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._faults.remove(fault)
        return True
