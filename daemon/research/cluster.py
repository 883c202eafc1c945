"""Dask in the place of threads: workers in other processes, here or on other machines.

What is asked is given back in the order of asking, as by threads, so the results are the same. A worker that
is lost is survived: Dask gives what it was at to another one.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from daemon.errors import TickdError, UsageError
from daemon.lifetime import children_deaf

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

T = TypeVar("T")

_CONNECT_S: Final = 10
_QUIET: Final = 50  # of logging: workers that are ended say so at length


class Cluster:
    """A connection to a scheduler, or processes of our own; as a context it ends both."""

    def __init__(self, address: str, processes: int) -> None:
        """Connect to an address, or where there is none start so many processes; raises UsageError."""
        try:
            import distributed  # noqa: PLC0415 - a second, needed where it is asked for
        except ImportError:
            raise UsageError(
                "--dask and --cluster are of Dask, which is not installed: "
                "pip install -r requirements/dask.txt"
            ) from None
        dask: Any = distributed
        self._module = dask
        self._local: Any = None
        if not address:
            with children_deaf():
                self._local = dask.LocalCluster(
                    n_workers=processes,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",  # without one it takes a port for all to see
                    silence_logs=_QUIET,
                )
        try:
            self._client = dask.Client(self._local or address, timeout=_CONNECT_S)
        except (OSError, TimeoutError, ValueError):
            raise UsageError(
                f"no Dask scheduler answers at {address}; it is an address such as tcp://host:8786"
            ) from None
        self.threads = sum(self._client.nthreads().values())
        if not self.threads:
            self.close()
            raise UsageError(f"the Dask scheduler at {address} has no workers; start some first")

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        self.close()

    def crew(self) -> Crew[Any]:
        """Return what tasks are asked of."""
        return Crew(self._client, self._module)

    def close(self) -> None:
        """End the connection, and the processes that were started for it."""
        self._client.close()
        if self._local is not None:
            self._local.close()


class Crew(Generic[T]):
    """As daemon.research.workers.Workers, elsewhere."""

    def __init__(self, client: Any, module: Any) -> None:
        self._client = client
        self._module = module
        self._asked: deque[Any] = deque()  # futures, or in a tuple what was known

    def __enter__(self) -> Crew[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        self._cancel()

    def __len__(self) -> int:
        """Return how much was asked and not given back."""
        return len(self._asked)

    def ask(self, do: Callable[[], T]) -> None:
        """Let a worker do it."""
        self._asked.append(self._client.submit(do, pure=False))

    def know(self, what: T) -> None:
        """Take something as done."""
        self._asked.append((what,))

    def oldest(self) -> T:
        """Return what was asked first, waiting for it; raises TickdError where no worker can do it."""
        found = self._result(self._asked[0])
        self._asked.popleft()
        return found

    def ended(self) -> list[T]:
        """Return what is done of all that was asked, and let the rest be."""
        done = [one for one in self._asked if isinstance(one, tuple) or one.status == "finished"]
        found = [self._result(one) for one in done]
        self._cancel()
        return found

    def _result(self, one: Any) -> T:
        if isinstance(one, tuple):
            known: T = one[0]
            return known
        try:
            found: T = one.result()
        except ImportError as error:
            raise TickdError(
                f"a Dask worker lacks {error.name or 'tickd'}: install the same tickd there"
            ) from error
        except self._module.KilledWorker as error:
            raise TickdError("Dask's workers were lost one after the other: look at their memory") from error
        return found

    def _cancel(self) -> None:
        futures = [one for one in self._asked if not isinstance(one, tuple)]
        self._asked.clear()
        with suppress(Exception):  # the scheduler may be gone, and then there is nothing to let be
            self._client.cancel(futures)
