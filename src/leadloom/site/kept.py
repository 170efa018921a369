"""Answers that take long, kept for a while: asking costs a twentieth of the time at most."""

import time
from collections.abc import Callable
from threading import Lock

SHARE = 20  # an answer is kept for twenty times as long as it took
QUICK_S = 0.02  # what takes less is asked anew each time
MOST = 10_000


class Kept[K, V]:
    """By key and version; another version is asked for at once. One process keeps for itself. Thread-safe."""

    def __init__(self) -> None:
        self._kept: dict[K, tuple[float, object, V]] = {}
        self._lock = Lock()

    def get(self, key: K, version: object, make: Callable[[], V]) -> V:
        with self._lock:
            found = self._kept.get(key)
        if found is not None and time.monotonic() < found[0] and found[1] == version:
            return found[2]
        began = time.monotonic()
        value = make()
        took = time.monotonic() - began
        if took >= QUICK_S:
            with self._lock:
                if len(self._kept) >= MOST:
                    self._kept.clear()
                self._kept[key] = (began + took * (1 + SHARE), version, value)
        return value

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
