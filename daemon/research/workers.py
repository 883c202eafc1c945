"""Threads that do what is asked of them, and give it back in the order in which it was asked."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

T = TypeVar("T")


class Workers(Generic[T]):
    """So many threads; as a context it waits for what is under way."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "tickd-trial")
        self._asked: deque[Future[T]] = deque()

    def __enter__(self) -> Workers[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __len__(self) -> int:
        """Return how much was asked and not given back."""
        return len(self._asked)

    def ask(self, do: Callable[[], T]) -> None:
        """Let a thread do it."""
        self._asked.append(self._pool.submit(do))

    def know(self, what: T) -> None:
        """Take something as done."""
        done: Future[T] = Future()
        done.set_result(what)
        self._asked.append(done)

    def oldest(self) -> T:
        """Return what was asked first, waiting for it; its exception is raised here."""
        found = self._asked[0].result()
        self._asked.popleft()
        return found

    def ended(self) -> list[T]:
        """Begin nothing more; return what was done of all that was asked, from the first on, once it is."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        done = [one for one in self._asked if not one.cancelled() and one.exception() is None]
        self._asked.clear()
        return [one.result() for one in done]
