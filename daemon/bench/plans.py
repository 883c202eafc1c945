"""What is measured in which order: short segments, the floor and the path right after each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from daemon.bench.exchange import Plan
from daemon.bench.participants import ECHO, FLOOR_SLEEP, FLOOR_SPIN, NAIVE, OURS, OURS_FLOODED

if TYPE_CHECKING:
    from daemon.options import LatencyOptions

SETTLED: Final = "settled"
COLLIDING: Final = "colliding"
POISSON: Final = "poisson"
ORDERS: Final = "orders"
FLOOD: Final = "flood"
SCENARIOS: Final = {
    SETTLED: "closed loop, acknowledgements settle before the next tick",
    COLLIDING: "closed loop, the next tick comes right behind the acknowledgements",
    POISSON: "Poisson schedule",
    ORDERS: "as many orders as it makes",
    FLOOD: "as many ticks as it takes in, one in a thousand asking for an order",
}

#: after an order, before the next tick: several times what two reports take
_SETTLE_NS: Final = 100_000
#: a segment is about so long, and rounds are as many as fit
_SEGMENT_S: Final = 0.25
_ROUNDS_MAX: Final = 40


class Step(NamedTuple):
    """One segment of a round."""

    scenario: str
    participant: str
    plan: Plan


def rounds(options: LatencyOptions) -> int:
    """Return how often everything is measured."""
    per_round = len(round_of(options, 0)) + len(throughput_of(options, 0))
    return min(max(round(options.seconds / _SEGMENT_S / per_round), 1), _ROUNDS_MAX)


def segment_ns(options: LatencyOptions) -> int:
    """Return how long a segment is."""
    per_round = len(round_of(options, 0)) + len(throughput_of(options, 0))
    return int(options.seconds * 1e9 / per_round / rounds(options))


def round_of(options: LatencyOptions, duration_ns: int) -> list[Step]:
    """Return one round of the latency scenarios: ours stands next to its floor."""
    mine, other = (FLOOR_SPIN, FLOOR_SLEEP) if options.mode == "spin" else (FLOOR_SLEEP, FLOOR_SPIN)
    plans = {
        SETTLED: Plan(kind="closed", duration_ns=duration_ns, gap_ns=_SETTLE_NS),
        COLLIDING: Plan(kind="closed", duration_ns=duration_ns),
        POISSON: Plan(kind="poisson", duration_ns=duration_ns, gap_ns=int(1e9 / options.rate)),
    }
    steps = [
        Step(scenario, name, plan) for scenario, plan in plans.items() for name in (mine, OURS, other, ECHO)
    ]
    return [*steps, Step(SETTLED, NAIVE, plans[SETTLED])]


def throughput_of(options: LatencyOptions, duration_ns: int) -> list[Step]:
    """Return one round of the throughput scenarios."""
    orders = Plan(kind="closed", duration_ns=duration_ns, in_flight=options.symbols)
    return [
        Step(ORDERS, OURS_FLOODED, orders),
        Step(FLOOD, OURS_FLOODED, Plan(kind="flood", duration_ns=duration_ns)),
    ]
