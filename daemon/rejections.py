"""How many orders of a run were rejected, by the venue's code; apart from these, what never reached it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.events import ExecutionReport


class Rejections:
    """Counts the reports of rejections."""

    __slots__ = ("by_code", "unsent")

    def __init__(self) -> None:
        self.by_code: Counter[int] = Counter()  # the venue's
        self.unsent = 0  # a line was down, a rate limit used up: that says nothing of the orders

    def add(self, report: ExecutionReport) -> None:
        """Count one."""
        if report.unsent:
            self.unsent += 1
        else:
            self.by_code[report.code] += 1
