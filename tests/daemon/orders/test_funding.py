from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.events import Funding
from daemon.orders.checkpoint import save
from daemon.orders.clock_step import take_step
from daemon.orders.funding import Fundings, take_funding
from daemon.orders.money import UNIT
from daemon.orders.reader import read_all
from daemon.orders.records import Checkpoint, FundingNamed
from kernels import dtypes as d
from tests.daemon.orders.conftest import SECOND, World

HOUR = 3600


def paid(world, amount: str, number: int = 0, ago_s: float = 0.0) -> Funding:
    """One that the stream tells or, with a number, the venue's list."""
    now_ns = world.time.now_ns()
    return Funding(now_ns, "USDT", Decimal(amount), now_ns - int(ago_s * SECOND), number)


def meet(world: World, *listed: Funding, has: str = "") -> list[str]:
    """Meet a snapshot that lists fundings, and a wallet, of which what is not named is as it was."""
    balances = {"USDT": has} if has else None
    return world.meet(balances, funding=list(listed), positions={}).notes


def wallet(world: World) -> Decimal:
    return Decimal(world.portfolio.purse("USDT").total) / UNIT


@pytest.fixture
def world(new_world, perpetual) -> World:
    world = new_world([perpetual], balances={"USDT": "10000"})
    world.later(HOUR / 2)
    return world


def test_funding_moves_the_wallet_and_the_days_result_and_no_position(new_world, perpetual):
    world = new_world([perpetual], balances={"USDT": "10000"})
    world.portfolio.mark(0, 60_000.0)
    world.fill(world.place(kind=d.TARGET, qty=10_000, price=6_000_000), 1, 10_000)
    world.portfolio.worth.roll(world.time.now_ns())
    before = world.portfolio.holdings[0, 0].realised
    take_funding(world.orders, paid(world, "-0.6"))
    assert world.portfolio.purse("USDT").total == 99_994 * 10**17
    assert world.account(d.A_EQUITY) == 9_999.4
    assert round(world.account(d.A_DAY_PNL), 9) == -0.6
    assert world.portfolio.holdings[0, 0].realised == before


def test_funding_is_in_the_journal(new_world, perpetual):
    world = new_world([perpetual], balances={"USDT": "10000"})
    take_funding(world.orders, paid(world, "1.25"))
    assert world.restarted().portfolio.purse("USDT").total == 1000125 * 10**16


def test_what_comes_after_the_end_is_not_believed(new_world, perpetual):
    world = new_world([perpetual], balances={"USDT": "10000"})
    world.orders.close()
    take_funding(world.orders, paid(world, "1"))
    assert world.portfolio.purse("USDT").total == 10_000 * 10**18


def test_the_venues_list_tells_of_which_instrument_it_was(world):
    take_funding(world.orders, paid(world, "-1.0"))
    listed = [
        msgspec.structs.replace(paid(world, amount, number), instrument=instrument)
        for amount, number, instrument in (("-1.5", 7, 0), ("0.5", 8, -1))
    ]
    for _ in range(2):
        assert meet(world, *listed) == []
    every = [record for _, _, record in read_all(world.disk, world.folder)]
    named = [record for record in every if isinstance(record, FundingNamed)]
    assert [record.parts for record in named] == [listed[:1]]
    assert wallet(world) == wallet(world.restarted()) == 9_999


# --- what came while nobody listened ------------------------------------------------------------------------
def test_what_only_the_venues_list_tells_is_accounted_for_once(world):
    missed = [paid(world, "-1.5", 7, 20), paid(world, "0.5", 8, 10)]
    assert meet(world, *missed, has="9999") == [
        "funding of -1.5 USDT came unheard, and is accounted for now",
        "funding of 0.5 USDT came unheard, and is accounted for now",
    ]
    assert meet(world, *missed) == []
    later = world.restarted()
    assert wallet(later) == wallet(world) == 9_999
    assert meet(later, *missed) == []


def test_what_the_stream_told_is_in_the_list_too(world):
    take_funding(world.orders, paid(world, "-1.5"))
    later = world.restarted()
    later.time = world.time
    for one in (world, later):
        assert meet(one, paid(one, "-1.50000000", 7, 30)) == []
        assert meet(one, paid(one, "-1.5", 7, 30)) == []
        assert wallet(one) == Decimal("9998.5")


def test_the_stream_may_come_after_the_list(world):
    meet(world, paid(world, "-1.5", 7), has="9998.5")
    take_funding(world.orders, paid(world, "-1.5"))
    assert wallet(world) == Decimal("9998.5")
    take_funding(world.orders, paid(world, "-1.5"))
    assert wallet(world) == 9_997, "that is another one"


def test_the_stream_may_tell_of_all_positions_together(world):
    parts = [paid(world, amount, number) for number, amount in enumerate(("-1.5", "0.5", "-0.25"), 7)]
    take_funding(world.orders, paid(world, "-1.25"))
    assert meet(world, *parts) == []
    assert wallet(world) == Decimal("9998.75")
    world.later(200)
    now_ns = world.time.now_ns()
    parts = [msgspec.structs.replace(one, id=one.id + 10, exch_ns=now_ns) for one in parts]
    meet(world, *parts, has="9997.5")
    take_funding(world.orders, paid(world, "-1.25"))
    assert wallet(world) == Decimal("9997.5")


def test_what_is_not_near_is_another_funding(world):
    take_funding(world.orders, paid(world, "-1.5", ago_s=120))
    assert len(meet(world, paid(world, "-1.5", 7, 50), has="9997")) == 1


def test_what_was_before_the_first_meeting_is_in_the_balances(new_world, perpetual):
    world = new_world([perpetual], balances={"USDT": "10000"})
    assert meet(world, paid(world, "-1.5", 7, 1)) == []
    assert wallet(world) == 10_000


def test_a_list_of_what_is_long_past_changes_nothing(world):
    listed = [paid(world, "-1", 7)]
    meet(world, *listed, has="9999")
    world.later(3 * HOUR)
    meet(world)
    assert meet(world, *listed) == []
    assert world.portfolio.fundings.ids == {}
    assert wallet(world) == 9_999


def test_a_checkpoint_of_a_version_that_did_not_keep_them_is_read(world):
    checkpoint = msgspec.msgpack.encode(save(world.orders))
    old = msgspec.msgpack.decode(checkpoint)[:-3]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=Checkpoint).funding == []


@given(
    st.lists(
        st.tuples(
            # so far apart that no few come to another by chance: then the sources could not be told apart
            st.sampled_from([-1, 100, -10_000, 1_000_000]),
            st.integers(0, 40),  # settlements, three minutes apart
            st.booleans(),  # heard of by the stream
            st.booleans(),  # after the list
        ),
        max_size=30,
    )
)
def test_each_funding_is_accounted_for_once_whoever_tells_it_first(cases):
    books, booked = Fundings(), 0
    books.since_ns = 1
    told = [
        (Funding(0, "USDT", Decimal(cents), (1 + at) * 180 * SECOND, number), heard, late)
        for number, (cents, at, heard, late) in enumerate(cases, 1)
    ]

    def hear(when):
        nonlocal booked
        for one, heard, late in told:
            stream = msgspec.structs.replace(one, id=0, exch_ns=one.exch_ns + SECOND)
            if heard and late is when and books.is_news(stream):
                books.remember(stream)
                booked += stream.amount

    hear(False)
    for _ in range(2):
        for one in books.missing([one for one, _, _ in told], 2):
            books.remember(one)
            booked += one.amount
    hear(True)
    assert booked == sum(one.amount for one, _, _ in told)


def test_a_clock_that_was_set_anew_hides_no_funding(world):
    world.meet(positions={}, venue_ns=world.time.now_ns())
    told = paid(world, "-1.5", 7, -20)  # 20 s later by the venue's clock
    take_step(world.orders, HOUR * SECOND)
    world.later(HOUR)
    venue_ns = told.exch_ns + SECOND
    notes = world.meet({"USDT": "9998.5"}, positions={}, funding=[told], venue_ns=venue_ns).notes
    assert len(notes) == 1
    assert wallet(world) == Decimal("9998.5")


def test_an_older_version_that_counted_by_a_fast_clock_of_ours_hides_none_either():
    books, hour_ns = Fundings(), HOUR * SECOND
    books.since_ns = 10 * hour_ns
    told = Funding(0, "USDT", Decimal(1), 3 * hour_ns, 1)
    assert books.missing([], 2 * hour_ns) == []
    assert books.missing([told], 4 * hour_ns) == [told]
