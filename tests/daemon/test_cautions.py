from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from daemon.cautions import cautions, say_begun
from daemon.config import from_tree
from daemon.logs import Logs
from daemon.orders.records import Latch

STRATEGY = {"name": "ema_cross", "params": {"qty": 0.002}}


def config(**sections):
    sections["feed"] = {"symbols": ["BTC/USDT"], **sections.get("feed", {})}
    return from_tree({"name": "one", "mode": "paper", "strategy": [STRATEGY], **sections}, {}, "test")


def core(*instruments, unpriced=()):
    worth = SimpleNamespace(unpriced=list(unpriced))
    return SimpleNamespace(
        portfolio=SimpleNamespace(worth=worth), engine=SimpleNamespace(instruments=instruments)
    )


def test_a_collar_wider_than_the_exchange_takes_and_assets_without_a_price_are_told():
    instruments = [
        SimpleNamespace(symbol="BTC/USDT", reference_bound=0.05),
        SimpleNamespace(symbol="ETH/USDT", reference_bound=0),
        SimpleNamespace(symbol="SOL/USDT", reference_bound=0.2),
    ]
    told = list(cautions(core(*instruments, unpriced=["XYZ", "ABC"]), config(risk={"collar": 0.1})))
    assert [kind for kind, _ in told] == ["unpriced", "collar"]
    assert "XYZ, ABC" in told[0][1]
    assert "BTC/USDT be 0.1 away" in told[1][1]
    assert list(cautions(core(*instruments), config(risk={"collar": 0.01}))) == []


@pytest.mark.parametrize(
    ("mode", "feed", "venue", "warned"),
    [
        ("live", {"market": "usdm"}, {"kind": "binance"}, True),
        ("live", {"market": "usdm"}, {"kind": "binance", "dead_man_s": 30}, False),
        ("paper", {"market": "usdm"}, {"kind": "paper"}, False),  # nothing of it rests at an exchange
        ("live", {"market": "spot"}, {"kind": "binance"}, False),  # which has none to set
    ],
)
def test_live_orders_at_usdm_without_a_dead_man_s_switch_are_told(mode, feed, venue, warned):
    told = list(cautions(core(), config(mode=mode, feed=feed, venue=venue)))
    assert [kind for kind, _ in told] == (["dead_man"] if warned else [])
    assert all("venue.dead_man_s = 0" in text for _, text in told)


@pytest.mark.parametrize(
    ("latch", "flatten", "then"),
    [
        (False, False, None),
        (True, False, "tickd resume"),
        (True, True, "every position is being closed; tickd resume ends that"),
    ],
)
def test_a_daemon_that_is_halted_says_so_in_place_of_being_ready(new_floor, new_script, latch, flatten, then):
    floor, written = new_floor(new_script()), []
    floor.open_market()
    if latch:
        since_ns = 1_700_000_000_000_000_001
        floor.engine.risk.set_latch(
            Latch(since_ns, halted=True, source="http", reason="lunch", flatten=flatten)
        )
    logs = Logs(floor.time, written.append, "info", "json")
    say_begun(logs.get("app"), floor.core)
    logs.flush()
    (line,) = map(json.loads, b"".join(written).splitlines())
    assert (line["symbols"], line["venue"]) == ("BTC/USDT", "paper")
    if latch:
        assert (line["event"], line["level"]) == ("halted", "warning")
        assert (line["since"], line["reason"]) == ("2023-11-14T22:13:20.000000001Z", "lunch")
        assert line["then"] == then
    else:
        assert (line["event"], line["level"], line["state"]) == ("ready", "info", "READY")
