"""An action's verdict: Approved or Refused, two types, so that nothing unchecked can be submitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from daemon.orders.refusals import REFUSAL_NAMES
from kernels.dtypes import X_INSTRUMENT, X_KIND, X_LEVEL, X_SIDE, X_VERB

if TYPE_CHECKING:
    from daemon.orders.desk import Desk

#: proof of passage: only risk.py hands it out, and `Orders.submit` takes nothing without it
SEAL: Final = object()


class Approved(msgspec.Struct, frozen=True, gc=False):
    """An action that passed risk, to be submitted once and at once.

    The seal is compared when it is submitted rather than here: a check in the constructor costs 100 ns more.
    """

    seal: object
    number: int  # ever rising: one that was submitted cannot be submitted again
    desk: Desk
    action: list[int]  # a row of `actions`, columns X_*
    instrument: int  # the daemon's index; the action's own is the strategy's row
    now_ns: int


class Refused(msgspec.Struct, frozen=True, gc=False):
    """An action that may not leave, and why."""

    code: int  # REFUSED_* or GATE_*
    desk: Desk
    action: list[int]
    instrument: int
    now_ns: int

    @property
    def reason(self) -> str:
        """Return the refusal's name, a bounded label."""
        return REFUSAL_NAMES[self.code]

    @property
    def key(self) -> tuple[int, int, int, int, int, int]:
        """Return what tells one standing wish of one strategy from another."""
        a = self.action
        return (self.desk.index, a[X_INSTRUMENT], a[X_VERB], a[X_KIND], a[X_LEVEL], a[X_SIDE])
