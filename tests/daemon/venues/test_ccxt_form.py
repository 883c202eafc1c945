"""An exchange that is in no table, told of by the file alone, at the simulated exchange."""

from __future__ import annotations

import asyncio
import tomllib

import pytest

from daemon.config import from_tree
from daemon.memory_disk import MemoryDisk
from daemon.orders.audit import Alarm
from daemon.orders.order import State
from daemon.simulator.warm import warm_up
from daemon.venues.ccxt_exchanges import EXCHANGES
from daemon.venues.ccxt_venue import CcxtVenue
from daemon.venues.make import make_live
from kernels.dtypes import REST, STOP, TARGET
from tests.daemon.orders.conftest import btc_usdt
from tests.daemon.venues.ccxt_kit import KEY, RealTime, connected, exchange, new_venue, new_world

FILE = """
name = "one"
mode = "live"
[feed]
symbols = ["BTC/USDT"]
[[strategy]]
name = "ema_cross"
[venue]
kind = "ccxt"
exchange = "binanceus"
stops = false
timeout_ms = 500
credentials = { apiKey = "MY_KEY", secret = "MY_SECRET" }
[venue.form]
id = "newClientOrderId"
id_answer = "clientOrderId"
id_length = 36
immediate = { timeInForce = "IOC" }
post_only = { type = "LIMIT_MAKER" }
options = { fetchMarkets = { types = ["spot"] }, fetchCurrencies = false, fetchMargins = false }
"""
KEYS = {"MY_KEY": KEY.api_key, "MY_SECRET": KEY.secret.decode()}


@pytest.fixture(scope="module", autouse=True)
def _warm():
    warm_up(synthetic=True)


@pytest.fixture(autouse=True)
def _unlisted(monkeypatch):
    monkeypatch.delitem(EXCHANGES, "binanceus")


def trade(work, *, streams=True, name="one", **form):
    """Run `work(kit)` with a venue as the file asks for it, and further keys of its form."""

    async def main():
        async with exchange() as front:
            tree = tomllib.loads(FILE)
            tree["venue"] |= {
                "rest_url": front.address,
                "ws_url": front.url.replace("http", "ws") if streams else "ws://127.0.0.1:1",
            }
            tree["venue"]["form"] |= form
            tree["name"] = name
            time = RealTime()
            venue = make_live(from_tree(tree, {}, "f"), [btc_usdt()], new_venue(time)._seams, KEYS)
            venue._clock = time
            async with connected(front, await new_world(venue, MemoryDisk()), venue) as kit:
                await asyncio.wait_for(work(kit), 60)

    asyncio.run(main())


def test_orders_live_their_lives_and_a_lost_answer_is_found():
    async def work(kit):
        account, world = kit.venue._account, kit.world
        assert (account.tells_ids, kit.venue._requests.tells_by_id) == (False, False)
        bid, ask = await kit.touch()
        resting = world.place(kind=REST, price=bid - 50_000, qty=5_000)
        await kit.until(lambda: resting.state is State.WORKING and account.tells_ids)
        kit.front.faults["POST"] = "lose"
        taken = world.place(kind=TARGET, price=ask + 10_000, qty=2_000)
        await kit.until(lambda: taken.state is State.FILLED)
        world.orders.cancel(resting, world.time.now_ns())
        await kit.until(lambda: resting.state is State.CANCELED)
        stop = world.place(kind=STOP, side=-1, price=bid - 50_000, qty=1_000)
        await kit.until(lambda: stop.state is State.REJECTED)
        assert kit.said("REJECTED")[0].reason == "not sent: venue.stops is false"
        assert kit.front.placed == [resting.client_order_id, taken.client_order_id]

    trade(work)


def test_orders_known_by_uuids_live_their_lives_and_are_recognised_when_the_journal_is_lost():
    async def work(kit):
        ids, world = kit.venue._ids, kit.world
        bid, ask = await kit.touch()
        resting = world.place(kind=REST, price=bid - 50_000, qty=5_000)
        await kit.until(lambda: resting.state is State.WORKING)
        kit.front.faults["POST"] = "lose"
        taken = world.place(kind=TARGET, price=ask + 10_000, qty=2_000)
        await kit.until(lambda: taken.state is State.FILLED)
        theirs = [ids.theirs(order.client_order_id) for order in (resting, taken)]
        assert kit.front.placed == theirs
        assert (await kit.truth()).keys() == set(theirs)
        assert (await kit.meet()).notes == []
        await kit.venue.stop()

        venue = CcxtVenue([btc_usdt()], kit.venue._settings, kit.venue._seams)
        async with connected(kit.front, await new_world(venue, MemoryDisk()), venue) as again:
            assert again.world.audits[-1].order.client_order_id == resting.client_order_id
            await again.until(lambda: again.said("CANCELED"))
            assert again.world.alarms() == ["foreign_order"]
            (alarm,) = [one for one in again.world.audits if isinstance(one, Alarm)]
            assert alarm.text == f"the venue has order {resting.client_order_id}, which the journal lost"

    trade(work, name="test", id_kind="uuid")


@pytest.mark.parametrize("query", ["", "origClientOrderId"])
@pytest.mark.parametrize("fault", ["drop", "lose"])
def test_until_it_has_told_our_id_an_order_without_one_may_be_ours(fault, query):
    async def work(kit):
        client = kit.venue.client
        assert kit.venue._requests.tells_by_id is bool(query)
        parse = client.parse_order
        client.parse_order = lambda *words: {**parse(*words), "clientOrderId": None}
        kit.front.faults["POST"] = fault
        bid, _ = await kit.touch()
        order = kit.world.place(kind=REST, price=bid - 50_000, qty=1_000)
        if fault == "drop":  # there is none at all
            await kit.until(lambda: kit.said("NOT_FOUND"))
            assert order.state is State.UNKNOWN
            return
        said = (
            "binanceus has told no order by our id yet, and 1 of BTC/USDT that may be "
            + order.client_order_id
        )
        await kit.until(lambda: [one for one in kit.said("TIMEOUT") if said in one.reason])
        assert (kit.said("NOT_FOUND"), order.state) == ([], State.UNKNOWN)
        client.parse_order = parse
        await kit.until(lambda: order.state is State.WORKING)

    trade(work, streams=False, id_query=query)
