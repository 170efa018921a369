"""Read ahead in a thread: while the caller works on some items, the next are being made."""

import queue
import threading
import time
from collections.abc import Callable, Iterator


def read_ahead[T](
    make: Callable[[], Iterator[T]],
    *,
    most: int,
    largest: int,
    size: Callable[[T], int],
    enough: int,
    patience_s: float = 0,
) -> Iterator[list[T]]:
    """Lists of items in order, each holding whatever is ready: at least one item, then more up to ``enough`` in size.
    After the first list, which is given out at once, up to ``patience_s`` is waited for more.

    At most ``most`` items wait, and no further one while they are of size ``largest`` together. An exception of
    ``make`` is raised here after the items before it were given out. Leaving early ends the thread at its next item.
    """
    ready: queue.Queue[T | _End] = _Waiting(most, largest, lambda item: 0 if isinstance(item, _End) else size(item))
    abandoned = threading.Event()

    def put(item: "T | _End") -> bool:
        while not abandoned.is_set():
            try:
                ready.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in make():
                if not put(item):
                    return
        except BaseException as error:  # noqa: BLE001 - handed over to the caller, whatever it is
            put(_End(error))
        else:
            put(_End(None))

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        yield from _batches(ready, size, enough, patience_s)
    finally:
        abandoned.set()
        thread.join()


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Waiting[I](queue.Queue[I]):
    """A queue that is full by the number of its items or by their size, whichever comes first."""

    def __init__(self, most: int, largest: int, size: Callable[[I], int]) -> None:
        super().__init__(maxsize=most)
        self._largest, self._size, self._held = largest, size, 0

    def _qsize(self) -> int:
        return max(len(self.queue), self._held * self.maxsize // self._largest)

    def _put(self, item: I) -> None:
        self._held += self._size(item)
        super()._put(item)

    def _get(self) -> I:
        item: I = super()._get()
        self._held -= self._size(item)
        return item


def _batches[T](
    ready: "queue.Queue[T | _End]", size: Callable[[T], int], enough: int, patience_s: float
) -> Iterator[list[T]]:
    patience = 0.0
    while True:
        item = ready.get()
        deadline = time.monotonic() + patience
        batch: list[T] = []
        held = 0
        while not isinstance(item, _End):
            batch.append(item)
            held += size(item)
            if held >= enough:
                break
            try:
                item = ready.get(timeout=max(deadline - time.monotonic(), 0.0001))
            except queue.Empty:
                break
        if batch:
            yield batch
            patience = patience_s
        if isinstance(item, _End):
            if item.error is not None:
                raise item.error
            return
