"""The paper venue's books, against plain arithmetic."""

import random
from decimal import Decimal

from daemon.instruments import make_instrument
from daemon.venues.paper_account import Entry, PaperAccount
from kernels.dtypes import BUY, REST, SELL


def instrument(market, notional_min="0"):
    return make_instrument(
        0,
        "binance",
        market,
        "ETH/USDT",
        tick_size="0.01",
        lot_size="0.1",
        qty_min="0.1",
        qty_max="1000",
        notional_min=notional_min,
    )


def entry(side, ticks, lots):
    return Entry(
        key=1,
        client_order_id="a",
        venue_order_id="1",
        instrument=0,
        side=side,
        kind=REST,
        price_ticks=ticks,
        qty_lots=lots,
    )


def account(market="spot", maker="0", taker="0.1", **balances):
    return PaperAccount(
        [instrument(market)],
        {asset: Decimal(amount) for asset, amount in balances.items()},
        Decimal(maker),
        Decimal(taker),
    )


def test_a_buy_better_than_its_limit_gives_the_difference_back():
    books = account(USDT=100)
    order = entry(BUY, 1000, 20)
    assert books.refusal(order) == (0, "")
    assert books.balances()["USDT"].locked == 20
    order.cum_lots = 10
    settlement = books.settle(order, 900, 10, is_maker=False)
    assert (settlement.commission, settlement.asset) == (Decimal("0.1"), "ETH")
    balances = books.balances()
    assert (balances["USDT"].free, balances["USDT"].locked) == (81, 10)
    assert balances["ETH"].free == Decimal("0.9")
    books.release(order, 0)
    assert books.balances()["USDT"].free == 91


def test_a_sell_pays_its_commission_from_what_it_receives():
    books = account(ETH=3, maker="0.5")
    order = entry(SELL, 1000, 30)
    books.refusal(order)
    assert books.balances()["ETH"].free == 0
    order.cum_lots = 30
    settlement = books.settle(order, 1000, 30, is_maker=True)
    assert (settlement.commission, settlement.asset) == (15, "USDT")
    assert books.balances()["USDT"].free == 15


def test_what_only_reduces_a_derivative_may_be_of_any_notional():
    books = PaperAccount([instrument("usdm", "10")], {"USDT": Decimal(100)}, Decimal(0), Decimal(0))
    bought = entry(BUY, 1000, 10)
    assert books.refusal(bought) == (0, "")
    books.settle(bought, 1000, 10, is_maker=False)
    assert books.refusal(entry(SELL, 1000, 5)) == (0, "")
    assert books.refusal(entry(BUY, 1000, 5))[1] == "Filter failure: NOTIONAL"


def test_a_derivative_realises_what_its_average_price_says():
    """Against a twin that keeps every lot and closes the average one."""
    for seed in range(50):
        rng = random.Random(seed)
        books = account("usdm", taker="0.001")
        cash = Decimal(0)
        value = Decimal(0)  # of the position at its trades, fees aside: cash flow of a full settlement
        position = 0
        for _ in range(30):
            side, ticks, lots = rng.choice([BUY, SELL]), rng.randint(900, 1100), rng.randint(1, 9)
            order = entry(side, ticks, lots)
            order.cum_lots = lots
            settlement = books.settle(order, ticks, lots, is_maker=False)
            notional = Decimal(ticks) / 100 * lots / 10
            assert settlement.commission == notional * Decimal("0.001")
            cash -= settlement.commission
            value -= side * notional
            position += side * lots
        # closing all at one price leaves nothing but the sum of all cash flows
        order = entry(SELL if position > 0 else BUY, 1000, abs(position))
        if position:
            order.cum_lots = abs(position)
            cash -= books.settle(order, 1000, abs(position), is_maker=False).commission
            value += position * 10 / Decimal(10)
        assert books.positions == [0]
        assert abs(books.balances()["USDT"].free - cash - value) < Decimal("1e-20")
