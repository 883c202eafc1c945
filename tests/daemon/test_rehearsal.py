from __future__ import annotations

import json
from hashlib import sha256
from hmac import new
from random import Random

import pytest

from daemon.clock import VirtualTime
from daemon.config import Config, FeedConfig, LoopConfig, StrategyConfig, VenueConfig
from daemon.instruments import make_instrument
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.no_net import NoNet
from daemon.rehearsal import Rehearsal
from daemon.seams import Seams
from daemon.venues.binance_settings import BinanceSettings
from daemon.venues.make import make_rehearsal
from daemon.venues.signing import make_signer

INSTRUMENT = make_instrument(
    3, "binance", "spot", "ETH/USDT",
    tick_size="0.01", lot_size="0.001", qty_min="0.001", qty_max="9000", notional_min="5",
)  # fmt: skip
PERIOD_NS = 1_000_000


def seams_of(time: VirtualTime) -> Seams:
    return Seams(time, time, NoNet(), MemoryDisk(), InlineWorker(), Random(0))


class Stage:
    def __init__(self) -> None:
        self.time = VirtualTime(10**18)
        self.written_ns = 0
        self.rehearsal = Rehearsal(
            INSTRUMENT,
            make_signer("hmac", "key", "secret"),
            BinanceSettings(),
            seams_of(self.time),
            PERIOD_NS,
            lambda: self.written_ns,
        )
        self.orders = self.rehearsal._orders

    def idle(self, after_ns: int = 0) -> None:
        self.time.advance(self.time.now_ns() + after_ns)
        self.rehearsal.idle()


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_walk_goes_from_the_check_to_the_fill_in_two_halves(stage: Stage) -> None:
    stage.idle()
    (order,) = stage.orders.life.open.values()
    (request,) = stage.rehearsal._wire.sent
    params = json.loads(request)["params"]
    assert params["newClientOrderId"] == order.client_order_id
    signature = params.pop("signature")
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    assert new(b"secret", payload.encode(), sha256).hexdigest() == signature
    stage.idle()
    assert stage.rehearsal.walks == 1
    assert not stage.orders.life.open
    assert order.filled_lots == order.qty_lots
    assert not stage.rehearsal._wire.sent


def test_it_walks_once_a_period_and_never_soon_after_a_real_order(stage: Stage) -> None:
    for _ in range(10):
        stage.idle()
    assert stage.rehearsal.walks == 1
    stage.idle(PERIOD_NS)
    stage.idle()
    assert stage.rehearsal.walks == 2
    stage.written_ns = stage.time.now_ns() + PERIOD_NS
    stage.idle(PERIOD_NS)
    stage.idle(PERIOD_NS - 1)
    assert not stage.orders.life.open
    stage.idle(1)
    assert stage.orders.life.open


def test_a_clock_set_back_neither_ends_it_nor_lets_it_grow(stage: Stage) -> None:
    stage.idle()
    stage.idle()
    stage.written_ns = stage.time.now_ns()
    stage.time._now_ns -= 3_600 * 10**9
    for _ in range(10):
        stage.idle()
    assert stage.rehearsal.walks == 2
    for _ in range(1_000):
        stage.idle(PERIOD_NS)
        stage.idle()
    assert stage.rehearsal.walks == 1_002
    assert len(stage.orders.waiting) <= 1


def test_it_goes_on_for_ever_in_bounded_memory(stage: Stage) -> None:
    for _ in range(10_000):
        stage.idle(PERIOD_NS)
        stage.idle()
    assert stage.rehearsal.walks == 10_000
    assert not stage.orders.risk.halted
    assert not stage.orders.risk.refusals
    assert len(stage.orders.life.ended) == stage.orders.rules.ended_max
    assert len(stage.orders.waiting) <= 1
    assert not stage.rehearsal._session.asked
    assert abs(stage.rehearsal._desk.position[0]) <= 1.0


@pytest.mark.parametrize(
    ("loop", "kind", "made"),
    [
        (LoopConfig(spin=True, rehearse_us=500), "binance", True),
        (LoopConfig(spin=True), "binance", False),
        (LoopConfig(rehearse_us=500), "binance", False),
        (LoopConfig(spin=True, rehearse_us=500), "paper", False),
    ],
)
def test_only_a_spinning_daemon_on_binance_that_is_asked_to_rehearses(
    loop: LoopConfig, kind: str, made: bool
) -> None:
    config = Config(
        name="walker",
        mode="live" if kind == "binance" else "paper",
        loop=loop,
        feed=FeedConfig(symbols=("ETH/USDT",)),
        venue=VenueConfig(kind=kind),
        strategy=(StrategyConfig(name="ema_cross"),),
    )
    time = VirtualTime(1)
    seams = seams_of(time)
    environ = {config.venue.key_env: "k" * 64, config.venue.secret_env: "s" * 64}
    rehearsal = make_rehearsal(config, [INSTRUMENT], seams, environ, lambda: 0)
    assert (rehearsal is not None) is made
