from __future__ import annotations

from decimal import Decimal

from daemon.faces.journal_summary import summarise
from daemon.faces.report_books import Books, Fall
from daemon.orders.money import to_text
from kernels import dtypes as d
from tests.daemon.faces.conftest import records_of
from tests.daemon.orders.conftest import START_NS, World

S = 10**9


def books_of(world, since_ns=0):
    books = Books(since_ns)
    for record in records_of(world):
        books.take(record)
    return books


def bought_and_sold(*prices):
    """Buy a lot of 100 at 60 000.00 and sell it in parts at these prices, in ticks, a second apart."""
    world = World()
    bought = world.place(qty=100)
    world.later(0.25)
    world.report("NEW", bought)
    world.fill(bought, 1, 100)
    for number, price in enumerate(prices, 2):
        world.later(1)
        sold = world.place(level=number, side=d.SELL, price=price, qty=10)
        world.report("NEW", sold)
        world.fill(sold, number, 10, last_ticks=price)
        world.report("STATUS", sold, status="FILLED", qty_lots=10, cum_lots=10)
    return world


def test_a_result_is_what_the_summary_says_less_fees(busy):
    books = books_of(busy)
    (line,) = summarise(records_of(busy), None, None, lambda _: True).lines
    expected = Decimal(line.realised) + Decimal(line.unrealised) - Decimal(line.fees)
    assert {key: Decimal(to_text(units)) for key, units in books.results().items()} == {
        ("maker", "BTC/USDT"): expected
    }
    assert Decimal(to_text(books.curves["USDT"].values[-1])) == expected != 0


def test_the_deepest_fall_is_from_a_peak_that_was_before_it():
    # 0.001 BTC at 60 000: a tick of 0.01 is worth 0.00001 of what is open
    books = books_of(bought_and_sold(6_010_000, 5_990_000, 6_020_000, 6_000_000, 5_980_000))
    curve = books.curves["USDT"]
    open_lots, gained, expected = 100, Decimal(0), [Decimal(0), Decimal(0)]
    for price in (60_100, 59_900, 60_200, 60_000, 59_800):
        gained += Decimal(price - 60_000) * Decimal("0.0001")
        open_lots -= 10
        expected.append(gained + Decimal(price - 60_000) * open_lots * Decimal("0.00001"))
    assert [Decimal(to_text(one)) for one in curve.values] == expected
    assert to_text(curve.fall.units) == f"{max(expected) - expected[-1]:f}".rstrip("0")
    assert curve.fall.peak_ns == START_NS + S // 4 + 3 * S
    assert curve.fall.bottom_ns == START_NS + S // 4 + 5 * S


def test_what_only_rises_never_fell():
    assert books_of(bought_and_sold(6_010_000, 6_020_000)).curves["USDT"].fall == Fall()


def test_what_was_before_the_beginning_is_no_result_but_its_marks_count():
    world = bought_and_sold(6_010_000)
    world.later(1)
    since_ns = world.time.now_ns()
    again = world.restarted()
    again.later(1)
    sold = again.place(level=9, side=d.SELL, price=6_000_000, qty=10)
    again.report("NEW", sold)
    again.fill(sold, 9, 10)
    books = books_of(again, since_ns)
    # 90 lots were open at 60 100, and are valued or sold at 60 000
    assert to_text(books.results()["maker", "BTC/USDT"]) == "-0.09"
    assert to_text(books.curves["USDT"].fall.units) == "0.09"
    assert len(books.curves["USDT"].values) == 2


def test_the_first_word_of_an_order_is_timed_once_and_an_answer_of_ours_is_none():
    world = World()
    first, second = world.place(level=1), world.place(level=2)
    world.later(0.25)
    world.report("NEW", first)
    world.later(0.5)
    world.fill(first, 1, 100)
    world.report("TIMEOUT", second)
    world.report("STATUS", second, status="NEW", qty_lots=100)
    assert list(books_of(world).first_words_ns) == [S // 4]
