"""A dead man's switch through ccxt: what each exchange is told, and one that counts, on loopback."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from types import SimpleNamespace

import pytest
from ccxt.base.errors import BadRequest, ExchangeNotAvailable, PermissionDenied

from daemon.clock import VirtualTime
from daemon.errors import ConfigError, NetError
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.no_net import NoNet
from daemon.orders.audit import Alarm
from daemon.orders.doubts import OrderRules
from daemon.orders.order import State
from daemon.seams import Seams
from daemon.venues.ccxt_client import CcxtSettings, fields, make_client
from daemon.venues.ccxt_dead_man import CcxtDeadMan
from daemon.venues.ccxt_exchanges import COUNTDOWNS, EXCHANGES
from kernels.dtypes import REST
from tests.daemon.orders.conftest import btc_usdt
from tests.daemon.venues.ccxt_kit import RealTime, connected, new_venue, new_world
from tests.daemon.venues.ccxt_okx import COUNTDOWN, okx

#: what each is told, and answers, as its documentation has it
TOLD = {
    "bingx": (
        "/openApi/spot/v1/trade/cancelAllAfter",
        {("type", "ACTIVATE"), ("timeOut", "30")},
        {("type", "CLOSE"), ("timeOut", "0")},
        {"code": 0, "data": {"triggerTime": "1712645434", "status": "ACTIVATED", "note": "All your"}},
    ),
    "htx": (
        "/v2/algo-orders/cancel-all-after",
        {("timeout", "30")},
        {("timeout", "0")},
        {"code": 200, "data": {"currentTime": 1630491627230, "triggerTime": 1630491637230}},
    ),
    "kraken": (
        "/0/private/CancelAllOrdersAfter",
        {("timeout", "30")},
        {("timeout", "0")},
        {
            "error": [],
            "result": {"currentTime": "2023-03-24T17:41:56Z", "triggerTime": "2023-03-24T17:42:56Z"},
        },
    ),
    "okx": (
        "/api/v5/trade/cancel-all-after",
        {("timeOut", "30")},
        {("timeOut", "0")},
        {"code": "0", "data": [{"triggerTime": "1587971460", "ts": "1587971400"}]},
    ),
}
TOLD["myokx"] = TOLD["okxus"] = TOLD["okx"]
#: what the limiter counts a countdown as; the others' are plain requests
WEIGHTS = {"bingx": 5, "kraken": 3}


class Limiter:
    """A rate limiter that has a place for nobody at once, and notes who waits for one."""

    def __init__(self, waited):
        self.waited = waited

    def take(self, cost):
        return False

    async def first(self, cost):
        self.waited.append(cost)

    async def __call__(self, cost):
        self.waited.append(cost)


class Bench:
    """A switch, its owner, and one exchange of ccxt below which `answer` is said or raised."""

    def __init__(self, exchange, wait_ms=30_000, time=None):
        self.time = time or VirtualTime(1_700_000_000 * 10**9)
        self.up, self.live, self.alarms = True, {}, []
        self.open = []  # orders in the exchange's list; an exception is raised
        self.answer, self.sent, self.waited = TOLD[exchange][3], [], []
        secrets = {"apiKey": "k" * 32, "secret": base64.b64encode(b"s" * 64).decode(), "password": "p"}
        settings = CcxtSettings(exchange=exchange, name="a", credentials=secrets, countdown_ms=wait_ms)
        self.client = make_client(settings, EXCHANGES[exchange].options, self.time)
        self.client.set_markets([])
        self.client.throttler = Limiter(self.waited)
        seams = Seams(self.time, self.time, NoNet(), MemoryDisk(), InlineWorker(), random.Random(1))
        self.switch = CcxtDeadMan(self.client, self, [btc_usdt()], settings, seams, self)

    def on_unrenewed(self, text):
        self.alarms.append(text)

    async def open_orders(self, symbol):
        if isinstance(self.open, Exception):
            raise self.open
        return self.open

    async def pass_s(self, seconds):
        for _ in range(seconds):
            await asyncio.sleep(0.001)
            self.time.advance(self.time.now_ns() + 10**9)
        await asyncio.sleep(0.001)

    async def fetch(self, client, url, method="GET", headers=None, body=None):
        self.sent.append((method, url, body or ""))
        if isinstance(self.answer, Exception):
            raise self.answer
        return json.loads(json.dumps(self.answer))


def at(exchange, work, **changes):
    """Run `work(bench)` at one exchange of ccxt that is never reached."""

    async def main():
        bench = Bench(exchange, **changes)

        async def fetch(client, *words):
            return await bench.fetch(client, *words)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(bench.client).__mro__[2], "fetch", fetch, raising=False)  # ccxt's, below ours
            try:
                await work(bench)
            finally:
                await bench.client.close()

    asyncio.run(main())


@pytest.mark.parametrize("exchange", COUNTDOWNS)
def test_each_exchange_is_told_of_the_seconds_by_its_own_word_and_of_the_end(exchange):
    path, begun, ended, _ = TOLD[exchange]

    async def work(bench):
        await bench.switch.begin()
        await bench.switch.end()
        for (method, url, body), words in zip(bench.sent, (begun, ended), strict=True):
            assert (method, path in url) == ("POST", True)
            assert words <= fields(url, body), url
        assert bench.waited == [WEIGHTS.get(exchange, 1)] * 3

    at(exchange, work)


def test_a_renewal_at_okx_keeps_no_order_back():
    async def work(bench):
        bench.client.init_throttler()
        await bench.switch.begin()
        await asyncio.sleep(0.4)
        await bench.switch._switch.begin()
        assert bench.client.throttler.take(1 / 15)  # as ccxt weighs an order there

    at("okx", work, time=RealTime())


def test_an_exchange_of_which_ccxt_says_other_than_we_mean_is_refused_and_told_nothing():
    async def work(bench):
        ask = bench.client.cancel_all_orders_after

        async def in_milliseconds(wait_ms, params):
            return await ask(wait_ms * 1000, params)

        bench.client.cancel_all_orders_after = in_milliseconds
        with pytest.raises(ConfigError, match="ccxt does not say to okx that it should count 30 s"):
            await bench.switch.begin()

        async def raises(wait_ms, params):
            raise BadRequest("no")

        bench.client.cancel_all_orders_after = raises
        with pytest.raises(ConfigError, match=r"cannot begin a countdown at okx \(BadRequest: no\)"):
            await bench.switch.begin()
        bench.client.has = {**bench.client.has, "cancelAllOrdersAfter": False}
        with pytest.raises(ConfigError, match=r"has no countdown of okx, so venue\.dead_man_s must be 0"):
            await bench.switch.begin()
        assert bench.sent == []

    at("okx", work)


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        ({"code": "0", "data": [{"triggerTime": "0"}]}, ConfigError, "does not say when it would cancel"),
        ({"code": "0", "data": []}, ConfigError, "does not say when it would cancel"),
        (
            {"data": {"triggerTime": "17", "status": "FAILED"}},
            ConfigError,
            r"^bingx does not count down \(it does not say when it would cancel\): venue\.dead_man_s must be",
        ),
        (PermissionDenied("not yours"), ConfigError, "PermissionDenied: not yours"),
        (ExchangeNotAvailable("busy"), NetError, "ExchangeNotAvailable: busy"),
    ],
)
def test_what_did_not_begin_is_no_countdown(answer, error, sentence):
    async def work(bench):
        bench.answer = answer
        with pytest.raises(error, match=sentence):
            await bench.switch.begin()
        sent = len(bench.sent)
        await bench.switch.end()
        assert len(bench.sent) == sent, "there is none to end"

    at("bingx", work)


def test_without_one_nothing_is_told():
    async def work(bench):
        await bench.switch.begin()
        assert bench.switch.work() == []
        await bench.switch.end()
        assert bench.sent == []

    at("okx", work, wait_ms=0)


@pytest.mark.parametrize("why", ["still", "down"])
def test_it_is_renewed_while_we_could_cancel_and_not_otherwise(why):
    async def work(bench):
        await bench.switch.begin()
        (keeping,) = bench.switch.work()
        task = asyncio.ensure_future(keeping)
        await bench.pass_s(11)
        assert len(bench.sent) == 2
        bench.up = why != "down"
        bench.client.keep_still(25 if why == "still" else 0)  # until 36 s
        await bench.pass_s(24)
        assert (len(bench.sent), bench.alarms) == (2, [])
        bench.up = True
        await bench.pass_s(10)
        assert len(bench.sent) == 3
        task.cancel()

    at("okx", work)


@pytest.mark.parametrize(
    ("state", "ended"),
    [(State.CANCELED, True), (State.FILLED, True), (State.WORKING, False), (State.UNKNOWN, False),
     (State.VOID, False)],
)  # fmt: skip
def test_it_is_ended_only_where_no_order_of_this_run_can_rest(state, ended):
    async def work(bench):
        await bench.switch.begin()
        bench.live["a-1-1"] = SimpleNamespace(state=state)
        await bench.switch.end()
        assert len(bench.sent) == 1 + ended

    at("okx", work)


@pytest.mark.parametrize("open_", [[{"id": "7"}], ExchangeNotAvailable("busy")])
def test_what_an_earlier_run_has_resting_is_left_to_it_and_what_nobody_knows_too(open_):
    async def work(bench):
        await bench.switch.begin()
        bench.open = open_
        await bench.switch.end()
        assert len(bench.sent) == 1
        bench.open = []
        await bench.switch.end()
        assert len(bench.sent) == 2

    at("okx", work)


# --- at an exchange that counts -----------------------------------------------------------------------------
@pytest.fixture
def _often(monkeypatch):
    """Look every second, not every five, whether the exchange is there."""
    monkeypatch.setattr("daemon.venues.ccxt_watch.BEAT_NS", 10**9)


def trade(work, wait_ms=3000, before=None, **changes):
    """Run `work(kit, there)` with a venue that has begun its countdown at OKX."""

    async def main():
        async with okx() as (there, address):
            if before is not None:
                before(there)
            credentials = {"apiKey": "k" * 32, "secret": "s" * 32, "password": "p"}
            venue = new_venue(
                RealTime(), exchange="okx", credentials=credentials, rest_url=address,
                ws_url="ws://127.0.0.1:1", stops=False, countdown_ms=wait_ms, timeout_ms=2000, **changes,
            )  # fmt: skip
            world = await new_world(venue, rules=OrderRules(answer_ns=5 * 10**9))
            async with connected(there, world, venue) as kit:
                await asyncio.wait_for(work(kit, there), 60)
            return there

    return asyncio.run(main())


async def resting(kit):
    """Place an order; one that ccxt's limiter has no room for, beside what the venue looks at, again."""
    for _ in range(20):
        order = kit.world.place(kind=REST, price=5_000_000, qty=1_000)
        await kit.until(lambda order=order: order.state in {State.WORKING, State.REJECTED})
        if order.state is State.WORKING:
            return order
        await asyncio.sleep(0.1)
    raise AssertionError(kit.said("REJECTED")[-1].reason)


def test_it_is_armed_before_the_first_order_and_renewed_so_that_nothing_is_cancelled():
    async def work(kit, there):
        assert there.counted == [3]
        order = await resting(kit)
        await kit.until(lambda: len(there.counted) >= 5)
        assert (there.lapsed, order.state, kit.world.alarms()) == (0, State.WORKING, [])
        paths = [path for _, path in there.asked]
        assert paths.index(COUNTDOWN) < paths.index("/api/v5/trade/batch-orders")

    trade(work)


def test_what_cannot_be_renewed_runs_out_is_told_of_and_its_orders_are_known_to_be_gone():
    async def work(kit, there):
        order = await resting(kit)
        there.faults = [("50026", "System error")] * 4
        await kit.until(kit.world.alarms)
        assert there.lapsed == 0, "a person is told before it runs out"
        (alarm,) = [one for one in kit.world.audits if isinstance(one, Alarm)]
        assert alarm.kind == "dead_man"
        assert "System error" in alarm.text
        assert "cancels what rests 3 s after it was told last" in alarm.text
        await kit.until(lambda: order.state is State.CANCELED)
        assert there.lapsed == 1
        await kit.until(lambda: there.counting)  # it is begun anew as soon as that succeeds
        again = await resting(kit)
        assert again.state is State.WORKING

    trade(work)


def test_at_an_orderly_end_it_is_ended_after_the_cancels_and_another_s_orders_stand():
    async def work(kit, there):
        there.rest_another_s()
        order = await resting(kit)
        kit.world.orders.cancel(order, kit.world.time.now_ns())
        await kit.until(lambda: order.state is State.CANCELED)

    there = trade(work)
    assert (there.counted[-1], len(there.resting), there.lapsed) == (0, 1, 0)
    paths = [path for _, path in there.asked]
    assert paths.index("/api/v5/trade/cancel-order") < len(paths) - 1 - paths[::-1].index(COUNTDOWN)


def test_an_end_that_leaves_an_order_behind_leaves_it_to_the_countdown():
    async def work(kit, there):
        await resting(kit)
        await kit.venue.stop()
        assert (there.counted[-1], len(there.resting)) == (3, 1)
        await kit.until(lambda: there.lapsed)
        assert there.resting == []

    trade(work)


@pytest.mark.usefixtures("_often")
def test_told_to_keep_still_it_is_not_renewed_until_that_is_over():
    async def work(kit, there):
        there.faults = [(429, {"Retry-After": "4"})]
        await kit.until(kit.venue.is_short)
        asked = len(there.asked)
        await kit.until(lambda: there.lapsed)
        assert len(there.asked) == asked, "nothing is sent, and nothing could have been cancelled"
        await kit.until(lambda: there.counting)
        assert not kit.venue.is_short()

    trade(work)


@pytest.mark.usefixtures("_often")
def test_while_the_exchange_does_not_answer_nothing_is_renewed():
    async def work(kit, there):
        there.dead = True
        await kit.until(lambda: not kit.venue.up)
        counted = len(there.counted)
        await kit.until(lambda: there.lapsed)
        assert (len(there.counted), kit.world.alarms()) == (counted, [])
        there.dead = False
        await kit.until(lambda: there.counting)
        assert kit.venue.up

    trade(work)


def test_until_it_is_armed_the_start_goes_on_trying():
    def busy(there):
        there.faults = [(503, {}), ("50013", "busy")]

    async def work(kit, there):
        assert [status.up for status in kit.statuses] == [False, False, True]
        assert "50013" in kit.statuses[1].reason
        assert there.counted == [3]

    trade(work, before=busy)


def test_a_start_that_is_refused_one_ends():
    def refuse(there):
        there.faults = [("50110", "This API key has no permission")]

    with pytest.raises(ConfigError, match=r"^okx does not count down \(PermissionDenied: .*no permission"):
        trade(None, before=refuse)
