"""Prices and quantities near every bound: our verdict is the exchange's, and our text its number, exactly."""

from __future__ import annotations

from functools import partial
from random import Random
from unittest.mock import patch

import msgspec

from daemon.feeds.binance_rest import Binance
from daemon.instruments import make_instrument
from daemon.orders.order import Order
from daemon.runtime import rules_of
from daemon.simulator.account import Balance
from daemon.simulator.errors import ApiError
from daemon.simulator.filters import check_order
from daemon.simulator.marketdata import MarketData
from daemon.simulator.newrequest import read_order
from daemon.simulator.params import Params
from daemon.simulator.symbols import list_symbol, spot_listing
from daemon.venues import binance_templates
from daemon.venues.binance_requests import OrderRequests
from kernels import dtypes as d
from tests.daemon import test_filters as documented
from tests.failures.stage import Mutation

ORDERS = 200
#: tick, lot, least notional
GRIDS = (
    ("0.01", "0.00001", "5"),
    ("0.00000001", "1", "0.0001"),
    ("0.5", "0.1", "10"),
    ("0.025", "0.005", "1.5"),
    ("1", "10", "100"),
)


def test_16_precision_and_filters():
    random, seen = Random(16), set()
    for tick, lot, least in GRIDS:
        symbol, instrument = listed(tick, lot, least)
        requests, market = OrderRequests([instrument], None, 5000), MarketData(symbol)
        for kind in (d.TARGET, d.STOP):
            orders = [near_a_bound(random, instrument, symbol, kind) for _ in range(ORDERS)]
            for (ticks, lots), ours in zip(orders, documented.ours(instrument, orders, kind), strict=True):
                message = msgspec.json.decode(requests.place(1, an_order(ticks, lots, kind), 0))
                theirs, price, qty = verdict(message["params"], market)
                assert (price, qty) == (ticks * symbol.tick, lots * symbol.lot), "another number was written"
                assert ours == theirs.removeprefix("MARKET_"), f"our verdict is {ours!r}, theirs {theirs!r}"
                seen.add(theirs)
    assert seen == {"", "PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "NOTIONAL"}


def listed(tick, lot, least):
    """Return the exchange's symbol, and the daemon's instrument read from its listing."""
    plain = make_instrument(
        0,
        "binance",
        "spot",
        "XYZ/USDT",
        tick_size=tick,
        lot_size=lot,
        qty_min=lot,
        qty_max="9000",
        notional_min=least,
    )
    symbol = list_symbol(plain)
    body = msgspec.json.encode({"symbols": [spot_listing(symbol)]})
    return symbol, Binance().instruments("spot", ["XYZ/USDT"], body)[0]


def near_a_bound(random, instrument, symbol, kind):
    """Return ticks and lots where one filter just holds or just does not."""
    most = instrument.stop_qty_max if kind == d.STOP else instrument.qty_max
    lots_max = int(most / instrument.lot_size)
    lots = random.choice([1, random.randint(1, lots_max), lots_max, lots_max + 1])
    step = instrument.tick_size * instrument.lot_size * lots
    bounds = [instrument.notional_min / step, instrument.notional_max / step]
    bounds += [symbol.price_max // symbol.tick, random.randint(1, 10**6)]
    return max(1, int(random.choice(bounds)) + random.choice([-1, 0, 1])), lots


def an_order(ticks, lots, kind):
    return Order(
        client_order_id="sim-1-1",
        seq=1,
        strategy=0,
        instrument=0,
        slot=0,
        row=0,
        kind=kind,
        level=0,
        side=d.BUY,
        price_ticks=ticks,
        qty_lots=lots,
        reduces=False,
        wire_ns=0,
        sent_ns=0,
        changed_ns=0,
    )


def verdict(params, market):
    """Return the filter that the exchange refuses a request by, and the numbers it read."""
    new = read_order(Params(params))
    try:
        check_order(new, market, [], Balance())
    except ApiError as error:
        return error.message.removeprefix("Filter failure: "), new.price or new.stop_price, new.qty
    return "", new.price or new.stop_price, new.qty


def _blind(column, what, name):
    """Return the mutation that forgets one of the exchange's filters."""

    def rules(*args, **more):
        row = rules_of(*args, **more)
        row[column] = 2**40 if column in {d.R_QTY_MAX_LOTS, d.R_STOP_QTY_MAX_LOTS} else 0
        return row

    plant = partial(patch.object, documented, "rules_of", rules)
    return Mutation("daemon.runtime.rules_of", what, plant, f"our verdict is .*, theirs '{name}'")


def _a_place_less(scale, instrument):
    numerator, denominator, places = _scale(scale, instrument)
    return (
        (numerator, denominator, places) if places < 2 else (numerator // 10, denominator // 10, places - 1)
    )


_scale = binance_templates._scale
MUTATIONS = (
    _blind(d.R_NOTIONAL_MIN_STEPS, "no least notional", "NOTIONAL"),
    _blind(d.R_NOTIONAL_MAX_STEPS, "no largest notional", "NOTIONAL"),
    _blind(d.R_PRICE_MAX_TICKS, "no highest price", "PRICE_FILTER"),
    _blind(d.R_QTY_MAX_LOTS, "no largest quantity", "LOT_SIZE"),
    _blind(d.R_STOP_QTY_MAX_LOTS, "no largest stop", "MARKET_LOT_SIZE"),
    Mutation(
        "daemon.venues.binance_templates._scale",
        "a decimal place too few",
        lambda: patch.object(binance_templates, "_scale", _a_place_less),
        "another number was written",
    ),
)
