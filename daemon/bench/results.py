"""From segments to figures: quantiles over all, ratios by segment, and whether nothing was skipped. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from daemon.bench.exchange import Segment
    from daemon.status import Status

#: a marked quote's order may be of either side; a walk of thousands is never further from the middle
_SIDE_SHARE: Final = (0.25, 0.75)
#: of so many orders, one tells a new prediction at least
_ORDERS_PER_PREDICTION: Final = 200


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Tick to order on the exchange's clock, of one participant in one scenario, over all its segments."""

    scenario: str
    participant: str
    count: int
    late: int  # ticks not sent, because the exchange itself was late for them
    held_back: int  # ticks not sent, because every symbol's order was still to come
    min_us: float
    p50_us: float
    p90_us: float
    p99_us: float
    p999_us: float
    max_us: float


class Quartiles(msgspec.Struct, frozen=True):
    """Of one figure over the segments."""

    low: float
    median: float
    high: float


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """One participant to another in one scenario, segment by segment."""

    scenario: str
    of: str
    to: str
    p50: Quartiles
    p99: Quartiles


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage inside the daemon, as it measures itself."""

    stage: str
    count: int
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What one daemon did, counted by itself, by its journal and by the exchange."""

    marked: int
    approvals: int
    journal_places: int
    orders: int
    journal_reports: int  # trades, each once
    filled: int
    ticks_sent: int
    ticks_taken: int
    predictions: int  # different ones in the journal's rows
    buys: int
    faults: tuple[str, ...] = ()

    def breaches(self) -> list[str]:
        """Return a sentence for each thing that was skipped or did not vary."""
        found = list(self.faults)
        names = ("approvals", "journal_places", "orders", "journal_reports", "filled")
        found += [
            f"{self.marked} ticks were marked, but {name} are {getattr(self, name)}"
            for name in names
            if getattr(self, name) != self.marked
        ]
        if self.ticks_taken != self.ticks_sent:
            found.append(f"{self.ticks_sent} ticks were sent, but {self.ticks_taken} taken in")
        if not self.marked:
            return [*found, "no tick was marked"]
        if self.predictions < max(2, self.marked // _ORDERS_PER_PREDICTION):
            found.append(f"the model gave {self.predictions} different outputs for {self.marked} decisions")
        if not _SIDE_SHARE[0] <= self.buys / self.marked <= _SIDE_SHARE[1]:
            found.append(f"{self.buys} of {self.marked} orders buy: the decisions do not vary")
        return found


def latency(scenario: str, participant: str, segments: Sequence[Segment]) -> Latency:
    """Summarise one participant's segments of one scenario."""
    values = np.concatenate([_values(one) for one in segments])
    p50, p90, p99, p999 = (np.quantile(values, [0.5, 0.9, 0.99, 0.999]) / 1e3).tolist()
    return Latency(
        scenario=scenario,
        participant=participant,
        count=len(values),
        late=sum(one.late for one in segments),
        held_back=sum(one.held_back for one in segments),
        min_us=float(values.min()) / 1e3,
        p50_us=p50,
        p90_us=p90,
        p99_us=p99,
        p999_us=p999,
        max_us=float(values.max()) / 1e3,
    )


def ratio(scenario: str, of: str, to: str, ours: Sequence[Segment], theirs: Sequence[Segment]) -> Ratio:
    """Compare two participants' segments, each with the one of the same round."""
    pairs = [(_values(one), _values(other)) for one, other in zip(ours, theirs, strict=True)]
    by_quantile = [
        quartiles([float(np.quantile(one, q) / np.quantile(other, q)) for one, other in pairs])
        for q in (0.5, 0.99)
    ]
    return Ratio(scenario=scenario, of=of, to=to, p50=by_quantile[0], p99=by_quantile[1])


def quartiles(values: Sequence[float]) -> Quartiles:
    """Return the quartiles."""
    return Quartiles(*np.quantile(values, [0.25, 0.5, 0.75]).tolist())


def rate(segments: Sequence[Segment], what: str) -> Quartiles:
    """Return how many of `what` a second, over the segments."""
    return quartiles([getattr(one, what) / (one.elapsed_ns * 1e-9) for one in segments])


def stages(status: Status) -> list[Stage]:
    """Return the waterfall inside the daemon."""
    return [
        Stage(
            stage=one.stage,
            count=one.count,
            p50_us=_us(one.p50_s),
            p99_us=_us(one.p99_s),
            p999_us=_us(one.p999_s),
            max_us=_us(one.max_s),
        )
        for one in status.latency
    ]


def _us(seconds: float | None) -> float:
    return float("nan") if seconds is None else seconds * 1e6


def _values(segment: Segment) -> NDArray[Any]:
    return np.array(segment.latency_ns, np.float64)
