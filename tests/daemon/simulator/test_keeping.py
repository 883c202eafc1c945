"""An exchange that is kept in a file, and taken up from it."""

from random import Random

import pytest

from daemon.clock import VirtualTime
from daemon.errors import TickdError, UsageError
from daemon.simulator.auth import Key
from daemon.simulator.keeping import kept
from daemon.simulator.newrequest import NewOrder
from daemon.simulator.settings import SimulatorSettings
from daemon.simulator.symbols import UNIT
from tests.daemon.simulator.conftest import START_NS


def settings(path, **changes):
    return SimulatorSettings(key=Key("k", "main", secret=b"s"), symbols=("BTC/USDT",), state=path, **changes)


def order(price):
    return NewOrder(
        side=1, type="LIMIT", tif="GTC", price=price, qty=UNIT // 100, quote_qty=0, stop_price=0,
        client_id="", response="ACK", stp="NONE",
    )  # fmt: skip


def place(world, price):
    exchange = world.gateways["spot"].exchange
    return exchange.place(exchange.accounts["main"], exchange.markets["BTCUSDT"], order(price))[0]


def test_orders_outlive_the_exchange_and_its_made_up_ids_are_new(tmp_path):
    path, time = tmp_path / "below" / "state", VirtualTime(START_NS)
    with kept(settings(path), time, Random(1)) as world:
        first = place(world, 50_000 * UNIT)
    with kept(settings(path), time, Random(1)) as world:
        exchange = world.gateways["spot"].exchange
        assert exchange.registry.orders[first.key].client_id == first.client_id
        second = place(world, 50_000 * UNIT)
        assert second.client_id != first.client_id
        assert second.order_id == first.order_id + 1
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_market_goes_on_from_its_price_with_higher_ids(tmp_path):
    path, time = tmp_path / "state", VirtualTime(START_NS)
    with kept(settings(path), time, Random(1)) as world:
        (driver,) = world.drivers
        time.advance(START_NS + 20_000_000_000)
        driver.advance(time.now_ns())
        market = world.gateways["spot"].exchange.markets["BTCUSDT"]
        place(world, 50_000 * UNIT)
        price, trade, update = market.last_price, market.trades[-1].trade_id, market.update_id
    assert price != 60_000 * UNIT
    with kept(settings(path), time, Random(1)) as world:
        (driver,) = world.drivers
        market = world.gateways["spot"].exchange.markets["BTCUSDT"]
        bid, _, ask, _ = market.touch()
        assert abs((bid + ask) // 2 - price) < UNIT
        assert market.update_id > update
        time.advance(time.now_ns() + 1_000_000_000)
        driver.advance(time.now_ns())
        assert market.trades[0].trade_id > trade


def test_without_a_file_nothing_is_kept(tmp_path):
    with kept(settings(None), VirtualTime(START_NS), Random(1)) as world:
        place(world, 50_000 * UNIT)
        assert world.gateways["spot"].exchange.reporter.keep is None
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_another_uses_or_nobody_can_write_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "state"
    with (
        kept(settings(path), VirtualTime(START_NS), Random(1)),
        pytest.raises(UsageError, match="in use by another simulated exchange"),
        kept(settings(path), VirtualTime(START_NS), Random(1)),
    ):
        pass
    with (
        pytest.raises(TickdError, match="cannot be kept: Is a directory"),
        kept(settings(tmp_path), VirtualTime(START_NS), Random(1)),
    ):
        pass
