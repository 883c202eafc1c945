"""The exchange's filters, from its own JSON to our verdict: equal to the documented rules.

`documented` knows nothing of the project: it is written from the exchange's page on filters. What a daemon
cannot know exactly, the average price of PERCENT_PRICE_BY_SIDE, is no part of it; our collar is far narrower.
"""

from __future__ import annotations

import random
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from daemon.config import ReconcileConfig
from daemon.feeds.binance_rest import Binance
from daemon.runtime import rules_of
from kernels import dtypes as d
from kernels import limits

#: the refusal that a failed filter becomes
FILTER_OF = {
    d.APPROVED: "",
    d.REFUSED_PRICE: "PRICE_FILTER",
    d.REFUSED_QTY: "LOT_SIZE",
    d.REFUSED_NOTIONAL_MIN: "NOTIONAL",
    d.REFUSED_NOTIONAL_MAX: "NOTIONAL",
}


def documented(filters: list[dict[str, str]], price: Decimal, qty: Decimal, *, stop: bool = False) -> str:
    """Return the first filter that a limit order or a stop fails; "" where the exchange takes it."""
    for one in filters:
        number = {name: Decimal(text) for name, text in one.items() if name != "filterType"}
        kind = one["filterType"]
        if kind == "PRICE_FILTER":
            least, most, step = number["minPrice"], number["maxPrice"], number["tickSize"]
            fails = (least and price < least) or (most and price > most) or (step and price % step)
        elif kind == "LOT_SIZE":
            fails = qty < number["minQty"] or qty > number["maxQty"] or qty % number["stepSize"]
        elif kind == "MARKET_LOT_SIZE":  # a step of 0 is none
            fails = stop and (qty > number["maxQty"] or (number["stepSize"] and qty % number["stepSize"]))
        elif kind == "MIN_NOTIONAL":
            fails = price * qty < number["minNotional"]
        else:  # a market order, which a stop becomes, has no largest notional (applyMaxToMarket)
            worth = price * qty
            fails = worth < number["minNotional"] or (not stop and worth > number["maxNotional"])
        if fails:
            return {"MIN_NOTIONAL": "NOTIONAL", "MARKET_LOT_SIZE": "LOT_SIZE"}.get(kind, kind)
    return ""


def price_filter(least: str, most: str, tick: str) -> dict[str, str]:
    return {"filterType": "PRICE_FILTER", "minPrice": least, "maxPrice": most, "tickSize": tick}


def lot_size(least: str, most: str, step: str) -> dict[str, str]:
    return {"filterType": "LOT_SIZE", "minQty": least, "maxQty": most, "stepSize": step}


def market_lot_size(most: str, step: str) -> dict[str, str]:
    return {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": most, "stepSize": step}


def notional(least: str, most: str) -> dict[str, str]:
    return {"filterType": "NOTIONAL", "minNotional": least, "maxNotional": most}


def instrument_of(filters: list[dict[str, str]]):
    listed = {"symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": filters}
    (found,) = Binance().instruments("spot", ["BTC/USDT"], msgspec.json.encode({"symbols": [listed]}))
    return found


def ours(instrument, orders: list[tuple[int, int]], kind: int = d.TARGET) -> list[str]:
    """Judge (ticks, lots) by the daemon's kernel, with every limit of our own out of the way."""
    rules = rules_of(instrument, ReconcileConfig(), (0.0, 0.0), can_amend=True).reshape(1, -1)
    rules[0, d.R_SPOT] = 0.0  # no balance is asked for
    book = np.full((1, 2, d.BOOK_LEVELS, 2), 1e-12)
    own = np.full((1, d.LIMITS_COLUMNS), np.inf)
    own[0, d.M_LIQUIDATION_DISTANCE_MIN] = -np.inf
    account = np.zeros(d.ACCOUNT_COLUMNS)
    account[d.A_MARGIN_BALANCE] = 1.0
    verdicts = []
    for ticks, lots in orders:
        actions = np.zeros((1, d.ACTION_COLUMNS), np.int64)
        actions[0, [d.X_VERB, d.X_KIND, d.X_SIDE]] = d.PLACE, kind, d.BUY
        actions[0, [d.X_PRICE_TICKS, d.X_QTY_LOTS]] = ticks, lots
        limits.check(
            1,
            actions,
            np.zeros((1, d.POSITION_COLUMNS)),
            np.zeros((1, d.WORKING_SLOTS, d.WORKING_COLUMNS)),
            book,
            rules,
            own,
            np.zeros(1, np.int64),
            account,
        )
        verdicts.append(FILTER_OF[int(actions[0, d.X_REFUSAL])])
    return verdicts


#: the examples that stand on the exchange's page
EXAMPLE = [
    price_filter("0.00000100", "100000.00000000", "0.00000100"),
    lot_size("0.00100000", "100000.00000000", "0.00100000"),
    notional("10.00000000", "10000.00000000"),
]


@pytest.mark.parametrize(
    ("price", "qty", "fails"),
    [
        ("100", "0.1", ""),  # 10: the least
        ("99.999999", "0.1", "NOTIONAL"),
        ("100", "100", ""),  # 10,000: the most
        ("100.000001", "100", "NOTIONAL"),
        ("0.000001", "100000", "NOTIONAL"),
        ("100000", "0.001", ""),
        ("100000.000001", "0.001", "PRICE_FILTER"),
        ("100", "100000.001", "LOT_SIZE"),
        ("0.1", "100000", ""),
    ],
)
def test_the_documented_examples_are_judged_alike(price, qty, fails):
    instrument = instrument_of(EXAMPLE)
    assert documented(EXAMPLE, Decimal(price), Decimal(qty)) == fails
    assert ours(instrument, [(instrument.price.parse(price), instrument.qty.parse(qty))]) == [fails]


@pytest.mark.parametrize("step", ["0", "0.00100000"])
@pytest.mark.parametrize(
    ("qty", "stop", "fails"),
    [("50", True, ""), ("50.001", True, "LOT_SIZE"), ("50.001", False, ""), ("100.001", False, "LOT_SIZE")],
)
def test_a_stop_is_judged_by_the_quantity_that_a_market_order_may_have(qty, stop, fails, step):
    filters = [*EXAMPLE[:1], lot_size("0.001", "100", "0.001"), market_lot_size("50", step), EXAMPLE[2]]
    instrument = instrument_of(filters)
    assert documented(filters, Decimal(150), Decimal(qty), stop=stop) == fails
    kind = d.STOP if stop else d.TARGET
    assert ours(instrument, [(150 * 10**6, instrument.qty.parse(qty))], kind) == [fails]


def a_listing(rng: random.Random) -> list[dict[str, str]]:
    """Return filters such as listings have, bounds that lie off the grid among them."""
    tick = Decimal(rng.choice(["0.01", "0.05", "0.1", "0.00000001", "0.00001", "0.5", "1", "0.025"]))
    lot = Decimal(rng.choice(["0.00001", "0.001", "0.1", "1", "0.005", "10"]))
    off = rng.choice([Decimal(0), tick / 3])
    most = tick * rng.randint(10**4, 10**7)
    filters = [
        price_filter(
            f"{rng.choice([Decimal(0), tick, tick * 7 + off]):f}",
            f"{rng.choice([Decimal(0), most, most + off]):f}",
            f"{tick:f}",
        ),
        lot_size(f"{lot * rng.randint(1, 9) + rng.choice([0, lot / 4]):f}", f"{lot * 10**6:f}", f"{lot:f}"),
    ]
    least = tick * lot * rng.randint(1, 10**6) * rng.randint(1, 10**3) + rng.choice([0, 0, tick * lot / 7])
    if rng.random() < 0.3:
        return [*filters, {"filterType": "MIN_NOTIONAL", "minNotional": f"{least:f}"}]
    return [*filters, notional(f"{least:f}", f"{least * rng.randint(2, 10**5):f}")]


def splits(number: int) -> list[int]:
    """Return quantities at which the notional can be exactly `number` steps."""
    return [lots for lots in range(1, 1000) if number % lots == 0]


def near(rng: random.Random, bound: int) -> int:
    return max(1, bound + rng.choice([-2, -1, 0, 0, 1, 2]))


def test_ten_thousand_orders_are_judged_as_the_exchange_documents_it():
    rng = random.Random(20_260_730)
    seen: dict[str, int] = {}
    for _ in range(200):
        filters = a_listing(rng)
        instrument = instrument_of(filters)
        step = instrument.tick_size * instrument.lot_size
        orders = []
        whole = splits(int(instrument.notional_min / step))
        for _ in range(50):
            lots = rng.choice(
                [rng.randint(1, 10**6), near(rng, 10**6), near(rng, 5), *rng.choices(whole, k=3)]
            )
            bounds = [
                int(instrument.notional_min / step) // lots,  # where the notional just is or is not enough
                int(instrument.notional_max / step) // lots,
                int(instrument.price_max / instrument.tick_size),
                7,
                rng.randint(1, 10**7),
            ]
            orders.append((near(rng, rng.choice(bounds)), lots))
        verdicts = ours(instrument, orders)
        for (ticks, lots), verdict in zip(orders, verdicts, strict=True):
            price, qty = instrument.price.decimal(ticks), instrument.qty.decimal(lots)
            assert verdict == documented(filters, price, qty), (filters, price, qty)
            seen[verdict] = seen.get(verdict, 0) + 1
    assert min(seen[name] for name in ("", "PRICE_FILTER", "LOT_SIZE", "NOTIONAL")) > 500, seen
