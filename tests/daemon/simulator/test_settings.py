from random import Random

import pytest

from daemon.clock import VirtualTime
from daemon.errors import ConfigError
from daemon.simulator.auth import Key
from daemon.simulator.settings import SimulatorSettings, build

KEY = Key("k", "main", secret=b"s")


def world(**changes):
    return build(SimulatorSettings(key=KEY, **changes), VirtualTime(10**18), Random(1))


def test_a_synthetic_exchange_lists_what_was_asked_and_drives_each():
    made = world(symbols=("BTC/USDT", "SOL/USDT"))
    assert list(made.gateways) == ["spot"]
    assert list(made.gateways["spot"].exchange.markets) == ["BTCUSDT", "SOLUSDT"]
    assert len(made.drivers) == 2
    assert made.player is None


def test_a_futures_market_moves_a_spot_listing_where_orders_are_placed():
    made = world(market="usdm", symbols=("BTC/USDT",))
    assert list(made.gateways) == ["spot", "usdm"]
    spot, futures = (made.gateways[name].exchange.market("BTCUSDT") for name in ("spot", "usdm"))
    made.drivers[0].advance(10**18 + 10**9)
    assert spot.touch() == futures.touch()
    assert spot.touch()[0] > 0
    assert made.gateways["spot"].exchange.accounts.keys() == {"main"}


def test_a_futures_account_has_a_wallet_fees_and_limits_of_its_own():
    made = world(market="usdm", symbols=("BTC/USDT",), balances={"USDT": "500", "BTC": "1"}, funding_s=60.0)
    front = made.gateways["usdm"]
    account = front.exchange.accounts["main"]
    assert {asset: balance.free for asset, balance in account.balances.items()} == {"USDT": 500 * 10**8}
    assert (account.maker, account.taker) == (20_000, 50_000)
    assert (front.limits.weight_1m, front.exchange._funding_ns) == (2_400, 60 * 10**9)
    assert made.gateways["spot"].limits.weight_1m == 6_000


def test_a_tape_lists_its_own_instrument(captures):
    made = world(tape=captures / "binance-usdm-btcusdt-20240808.gz")
    assert list(made.gateways) == ["spot", "usdm"]
    assert made.expect == ("btcusdt@depth@0ms", "btcusdt@bookTicker", "btcusdt@trade")
    assert made.player is not None
    assert world(tape=captures / "binance-spot-btcusdt-20240808.gz", expect=("a",)).expect == ("a",)


def test_a_coin_margined_tape_moves_no_spot_listing(captures):
    made = world(tape=captures / "binance-coinm-btcusd_perp-20240808.gz")
    assert list(made.gateways) == ["spot", "coinm"]
    assert made.player is not None
    made.player.asked = True
    made.player.play(1 << 62, 2_000)
    assert made.gateways["coinm"].exchange.market("BTCUSD_PERP").touch()[0] > 0
    assert made.gateways["spot"].exchange.market("BTCUSD").touch() == (0, 0, 0, 0)


def test_the_rate_scales_the_synthetic_market():
    slow, fast = world(symbols=("BTC/USDT",)), world(symbols=("BTC/USDT",), rate=400.0)
    for made in (slow, fast):
        made.drivers[0].advance(10**18 + 20 * 10**9)
    assert fast.drivers[0].events > 1.5 * slow.drivers[0].events


@pytest.mark.parametrize(
    "changes",
    [
        {"speed": -1.0},
        {"rate": 0.0},
        {"rate": 501.0},
        {"funding_s": 0.5},
        {"balances": {"USDT": "0.000000001"}},
    ],
)
def test_settings_that_make_no_exchange_are_refused(changes):
    with pytest.raises(ConfigError):
        world(**changes)
