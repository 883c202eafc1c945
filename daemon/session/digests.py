"""What proves a second in which nothing was ordered: digests over all rows, decisions and steps of orders."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from daemon.orders.audit import Moved
from daemon.orders.records import Digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.orders.audit import Audit
    from daemon.runtime import Runtime


class Digests:
    """An observer of orders that also looks at what strategies decided."""

    def __init__(self, runtimes: Sequence[Runtime]) -> None:
        self._runtimes = runtimes
        self._told = [self._of(runtime) for runtime in runtimes]
        self._steps = self._told_steps = 0
        self._crc = 0

    def __call__(self, audit: Audit) -> None:
        """Take a step of an order into the digest of all."""
        if type(audit) is Moved:
            self._steps += 1
            step = b"%d %d %d " % (audit.before, audit.after, audit.event)
            self._crc = crc32(audit.order.client_order_id.encode(), crc32(step, self._crc))

    @property
    def changed(self) -> bool:
        """Whether anything was decided, or took a step, since they were taken."""
        return self._steps != self._told_steps or any(
            self._of(one) != told for one, told in zip(self._runtimes, self._told, strict=True)
        )

    def take(self, now_ns: int) -> Digest:
        """Return the record: of strategies, those that decided since the last."""
        newest = [self._of(runtime) for runtime in self._runtimes]
        moved = [
            (index, *new)
            for index, (new, told) in enumerate(zip(newest, self._told, strict=True))
            if new != told
        ]
        self._told, self._told_steps = newest, self._steps
        return Digest(now_ns, moved, self._steps, self._crc)

    @staticmethod
    def _of(runtime: Runtime) -> tuple[int, int]:
        """Return how often a strategy decided, and the digest over its rows and decisions."""
        record = runtime.memory[0]
        return int(record["decisions"]), int(record["digest"])
