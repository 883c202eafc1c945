"""Which rows of a journal are wanted: by instrument, strategy, order, kind and time.

A name that stands nowhere in the journal is a mistake of the command line, and said to be one, with the
nearest that does.
"""

from __future__ import annotations

import difflib
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from daemon.errors import ConfigError, UsageError
from daemon.instruments import unify
from daemon.orders.records import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from daemon.options import JournalOptions
    from daemon.orders.records import Record

#: kinds that a mistaken one is compared with
_KINDS_MAX: Final = 1000


class Choice:
    """What the options want of one view, whose rows have these fields."""

    def __init__(self, options: JournalOptions, fields: tuple[str, ...], kind: str) -> None:
        """`kind` names the field that `--kind` speaks of. Raises UsageError for what a view lacks."""
        self._options = options
        self._wanted: dict[str, str] = {}  # by field
        self._option_of: dict[str, str] = {}
        self._met: set[str] = set()  # fields whose wanted value some row bears
        self._known: dict[str, set[str]] = {
            "instrument": set(),
            "strategy": set(),
            kind: set(),
            "order": set(),
        }
        self._kind = kind
        places = {"symbol": "instrument", "strategy": "strategy", "order": "order", "kind": kind}
        for option, field in places.items():
            value: str | None = getattr(options, option)
            if value is not None:
                if field not in fields:
                    raise UsageError(f"{options.show or 'records'} tell of no {option}: leave --{option} out")
                self._wanted[field] = value
                self._option_of[field] = option

    @property
    def all(self) -> bool:
        """Whether everything is wanted."""
        options = self._options
        return not self._wanted and options.since_ns is None and options.until_ns is None

    def watch(self, journal: Iterable[Record]) -> Iterator[Record]:
        """Yield the records, noting which instruments and strategies there are."""
        for record in journal:
            if isinstance(record, Run):
                self._known["instrument"].update(record.instruments)
                self._known["strategy"].update(name for name, _ in record.strategies)
                self._find_symbol(record.instruments)
            yield record

    def rows(self, rows: Iterable[tuple[int, NamedTuple]]) -> Iterator[tuple[str, ...]]:
        """Yield the rows that are wanted; raises UsageError when there is none, by a name that is nowhere."""
        chosen = (row for ns, row in rows if self.wants(ns, row))
        last = self._options.last
        found = False
        for row in chosen if last is None else deque(chosen, last):
            found = True
            yield row
        if not found:
            self.explain_nothing()

    def wants(self, ns: int, row: object) -> bool:
        """Whether a row is wanted."""
        options = self._options
        wanted = True
        for field, value in self._wanted.items():
            told = getattr(row, field)
            if told == value:
                self._met.add(field)
            else:
                wanted = False
            if field == self._kind and len(self._known[field]) < _KINDS_MAX:
                self._known[field].add(told)
        if options.since_ns is not None and ns < options.since_ns:
            return False
        return wanted and (options.until_ns is None or ns < options.until_ns)

    def explain_nothing(self) -> None:
        """Raise UsageError where a name that was asked for stands nowhere in the journal."""
        for field, value in self._wanted.items():
            known = self._known[field]
            if field not in self._met and value not in known:
                near = difflib.get_close_matches(value, known, n=1)
                hint = (
                    f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(known)) or 'none'}"
                )
                hint = "tickd journal lists them" if field == "order" else hint
                raise UsageError(
                    f"{self._options.folder} holds no {self._option_of[field]} {value!r} ({hint})"
                )

    def _find_symbol(self, symbols: list[str]) -> None:
        """Let BTCUSDT, or BTC/USDT where only its perpetual trades, name what a run calls otherwise."""
        asked = self._wanted.get("instrument")
        if asked is None or asked in self._known["instrument"]:
            return
        try:
            pair = unify(asked)
        except ConfigError:
            return  # no symbol at all; it will be found nowhere
        for symbol in symbols:
            if symbol.partition(":")[0] == pair:
                self._wanted["instrument"] = symbol
