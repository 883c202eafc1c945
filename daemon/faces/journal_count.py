"""What a journal's summary counts of one strategy in one instrument; a sum of such counts is one too."""

from __future__ import annotations

from collections import Counter


class Count:
    """What happened to one strategy in one instrument; sums of them are sums of their fields."""

    def __init__(self) -> None:
        self.orders = self.fills = self.cancels = self.unsent = self.unknown = 0
        self.turnover = self.maker = self.unknown_ns = self.unknown_ns_max = 0
        self.slippage = self.limit_slippage = 0
        self.decided = self.own = 0  # turnovers: of what these two are of
        self.fees_paid: Counter[str] = Counter()
        self.rejections: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.qty = self.cost = self.realised = self.fees = 0
        self.unrealised: int | None = 0

    def doubt(self, spell_ns: int) -> None:
        """Count a spell of UNKNOWN."""
        self.unknown += 1
        self.unknown_ns += spell_ns
        self.unknown_ns_max = max(self.unknown_ns_max, spell_ns)

    def add(self, other: Count) -> None:
        """Add another's figures; what is unknown of a part is unknown of the whole."""
        for name, value in vars(other).items():
            mine = getattr(self, name)
            if name == "unknown_ns_max":
                setattr(self, name, max(mine, value))
            elif isinstance(value, Counter):
                mine.update(value)
            else:
                setattr(self, name, None if mine is None or value is None else mine + value)


def bps(part: int, whole: int) -> float | None:
    """Return a part in hundredths of a percent of the whole, None of nothing."""
    return part / whole * 1e4 if whole else None
