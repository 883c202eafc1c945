"""An exchange's rules, kept for a start without it: used while fresh and whole, and asked for again."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from random import Random

import msgspec
import pytest

from daemon import whole_file
from daemon.config import Config, FeedConfig, JournalConfig, StrategyConfig
from daemon.disk import RealDisk
from daemon.errors import FileFormatError, NetError
from daemon.feeds.exchanges import EXCHANGES, find_exchange
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.no_net import NoNet
from daemon.orders.records import frame
from daemon.rules_cache import Kept, RulesCache, decode, encode
from daemon.seams import Seams
from tests.daemon.feeds import loopback
from tests.daemon.feeds.test_exchanges import BODY
from tests.daemon.feeds.test_paper_bybit import Spot
from tests.daemon.feeds.test_paper_coinbase import Coinbase
from tests.daemon.feeds.test_paper_kraken import Kraken
from tests.daemon.feeds.test_paper_okx import Okx
from tests.daemon.orders.conftest import START_NS, SteppedTime, btc_usdt, eth_btc

HOUR = 3_600_000_000_000
CUT = NetError("the line is cut")
FOLDER = Path("journal")
PATH = FOLDER / "rules-binance-spot.cache"


class Life:
    """One process's cache; `get` answers what is in `answers`, None once there is nothing more."""

    def __init__(self, disk=None, *, later_ns=0, symbols=("BTC/USDT", "ETH/BTC"), folder=FOLDER, **feed):
        self.time = SteppedTime(START_NS + later_ns)
        self.disk = disk or MemoryDisk()
        self.seams = Seams(self.time, self.time, NoNet(), self.disk, InlineWorker(), Random(1))
        self.config = Config(
            name="one",
            mode="live",
            feed=FeedConfig(symbols=symbols, **feed),
            strategy=(StrategyConfig(name="ema_cross"),),
            journal=JournalConfig(path=str(folder)),
        )
        self.told = []
        self.answers = []
        self.asked_s = []
        self.taken = []
        self.cache = RulesCache(self.config, self.seams, self.told.append)

    def keep(self, *instruments):
        asyncio.run(self.cache.keep(instruments))
        return self

    def refusal(self, error=CUT):
        with pytest.raises(NetError) as raised:
            self.cache.recall(error)
        assert not self.cache.at_hand
        assert not self.cache.unconfirmed
        assert self.told == []
        return str(raised.value)

    async def get(self, url):
        assert "exchangeInfo" in url
        self.asked_s.append((self.time.now_ns() - START_NS) / 1e9)
        return self.answers.pop(0) if self.answers else None

    def run(self, seconds, instruments, *, take=True):
        async def go():
            begun_ns = self.time.now_ns()
            taker = self.taken.append if take else None
            task = asyncio.ensure_future(self.cache.run(self.get, instruments, taker))
            while True:
                for _ in range(20):
                    await asyncio.sleep(0)
                due_ns = self.time.next_ns
                if due_ns is None or due_ns > begun_ns + seconds * 10**9:
                    break
                self.time.advance(due_ns)
            self.time.advance(begun_ns + int(seconds * 10**9))
            ended = task.done()
            task.cancel()
            return ended

        return asyncio.run(go())


def plain(instruments):
    return [msgspec.json.encode(one, enc_hook=lambda scale: scale.step) for one in instruments]


@pytest.fixture
def written():
    return Life().keep(btc_usdt(), eth_btc())


def test_what_was_told_is_found_again_in_the_order_that_is_asked_for(written):
    later = Life(written.disk, later_ns=HOUR)
    assert later.cache.at_hand
    assert plain(later.cache.recall(CUT)) == plain([btc_usdt(), eth_btc()])
    assert later.cache.unconfirmed
    (text,) = later.told
    assert text.startswith(
        "binance spot tells no rules of instruments: this start goes by those of 1.0 h ago"
    )
    turned = Life(written.disk, symbols=("ETH/BTC", "BTC/USDT")).cache.recall(CUT)
    assert plain(turned) == plain([eth_btc(0), btc_usdt(1)])
    (alone,) = Life(written.disk, symbols=("ETH/BTC",)).cache.recall(CUT)
    assert (alone.index, alone.price.text(3), alone.price.parse("0.00003")) == (0, "0.00003", 3)


@pytest.mark.parametrize(
    ("name", "payload", "symbol"),
    [
        ("binance", BODY, "BTC/USDT"),
        ("bybit", Spot.listing, "BTC/USDT"),
        ("coinbase", Coinbase.listing, "BTC/USD"),
        ("kraken", Kraken.listing, "BTC/USD"),
        ("okx", Okx.listing, "BTC/USDT"),
    ],
)
def test_what_any_exchange_tells_is_found_again_to_the_last_field(name, payload, symbol):
    told = find_exchange(name, "spot").instruments("spot", [symbol], payload)
    life = Life(symbols=(symbol,), exchange=name).keep(*told)
    assert plain(Life(life.disk, symbols=(symbol,), exchange=name).cache.recall(CUT)) == plain(told)


def test_that_was_any_exchange():
    assert set(EXCHANGES) == {"binance", "bybit", "coinbase", "kraken", "okx"}


@pytest.mark.parametrize("status", ["BREAK", "not listed"])
def test_a_symbol_that_was_closed_is_closed(status):
    life = Life(symbols=("BTC/USDT",)).keep(msgspec.structs.replace(btc_usdt(), status=status))
    (one,) = Life(life.disk, symbols=("BTC/USDT",)).cache.recall(CUT)
    assert (one.status, one.trading) == (status, False)


def test_without_a_file_the_exchange_s_own_sentence_is_all_there_is():
    assert Life().refusal() == "the line is cut"


@pytest.mark.parametrize("status", [400, 403, 418, 429, 451])
def test_what_the_exchange_refused_itself_stays_refused(written, status):
    error = NetError("refused", status)
    with pytest.raises(NetError) as raised:
        Life(written.disk).cache.recall(error)
    assert raised.value is error


@pytest.mark.parametrize("status", [0, 302, 408, 500, 503])
def test_other_failures_do_not(written, status):
    assert len(Life(written.disk).cache.recall(NetError("failed", status))) == 2


# --- what is odd about a file -----------------------------------------------------------------------------
def test_the_time_for_which_rules_are_good_is_kept_to_the_nanosecond(written):
    assert Life(written.disk, later_ns=24 * HOUR).cache.recall(CUT)
    why = Life(written.disk, later_ns=24 * HOUR + 1).refusal()
    assert why == (
        f"the line is cut; its rules that were kept are no help: {PATH} is 24.0 h old, "
        "beyond feed.rules_ttl_h"
    )
    assert Life(written.disk, later_ns=HOUR // 2, rules_ttl_h=0.5).cache.recall(CUT)
    assert "is 31 min old" in Life(written.disk, later_ns=31 * HOUR // 60, rules_ttl_h=0.5).refusal()


def test_rules_of_the_future_are_none(written):
    assert "is from the future: the clock was set back" in Life(written.disk, later_ns=-1).refusal()


def test_a_symbol_that_was_not_asked_about_is_not_served(written):
    life = Life(written.disk, symbols=("BTC/USDT", "SOL/USDT", "XRP/USDT"))
    assert life.refusal().endswith(f"{PATH} lacks SOL/USDT, XRP/USDT")


def test_with_a_ttl_of_zero_nothing_is_used_and_nothing_kept(written):
    assert Life(written.disk, rules_ttl_h=0).refusal() == "the line is cut"
    assert Life(rules_ttl_h=0).keep(btc_usdt()).disk.list(FOLDER) == []


def test_a_file_cut_at_any_byte_or_with_one_flipped_bit_is_not_used(written):
    data = written.disk.read(PATH)
    odd = [data[:size] for size in range(len(data))]
    odd += [data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :] for at in range(len(data))]
    for one in [*odd, data + b"\0", b"\0" * 99, whole_file.header(b"tickdrul", 1, 0)]:
        with pytest.raises(FileFormatError, match=r"^is (torn|damaged|empty)"):
            decode(one)
    disk = MemoryDisk()
    disk.replace(PATH, data[:-1])
    assert f"{PATH} is torn at offset 16" in Life(disk).refusal()
    assert len(Life(disk).keep(btc_usdt(), eth_btc()).cache.recall(CUT)) == 2  # the next answer mends it


def test_a_newer_format_is_not_used(written):
    body = written.disk.read(PATH)[len(whole_file.header(b"tickdrul", 1, 1)) :]
    disk = MemoryDisk()
    disk.replace(PATH, whole_file.header(b"tickdrul", 2, 1) + body)
    assert "was written by a newer tickd (format 2, ours is 1)" in Life(disk).refusal()


@pytest.mark.parametrize(
    ("was", "then"), [(b'"0.01"', b'"0.0x"'), (b'"0.01"', b'"-0.1"'), (b'"spot"', b'"spat"'), (b"{", b"[")]
)
def test_content_that_is_no_rules_is_not_used(written, was, then):
    body = msgspec.json.encode(decode(written.disk.read(PATH)), enc_hook=lambda scale: str(scale.step))
    assert was in body
    with pytest.raises(FileFormatError, match=r"^cannot be read at offset 16: "):
        decode(whole_file.header(b"tickdrul", 1, 1) + frame(body.replace(was, then)))


@pytest.mark.parametrize("feed", [{"exchange": "okx"}, {"rest_url": "https://me:hunter2@example.org"}])
def test_another_exchange_or_address_has_a_file_of_its_own_and_does_not_take_this_one(written, feed):
    other = Life(written.disk, **feed)
    assert other.refusal() == "the line is cut"
    written.disk.replace(other.cache.path, written.disk.read(PATH))
    assert other.refusal().endswith(" is of binance-spot")
    other.keep(btc_usdt(), eth_btc())
    assert len(Life(written.disk, **feed).cache.recall(CUT)) == 2
    assert b"hunter2" not in written.disk.read(other.cache.path) + bytes(other.cache.path)


class Unreadable(MemoryDisk):
    def read(self, path):
        raise PermissionError(13, "Permission denied", str(path))


def test_a_file_that_cannot_be_read_is_not_used():
    assert Life(Unreadable()).refusal().endswith(f"{PATH} cannot be read (Permission denied)")


def test_a_full_disk_keeps_the_older_rules_and_says_so_once(written):
    full = Life(MemoryDisk(bytes_max=len(written.disk.read(PATH)))).keep(btc_usdt(), eth_btc())
    before = full.disk.read(PATH)
    more = (btc_usdt(), eth_btc(), btc_usdt(2))
    full.keep(*more).keep(*more)
    assert full.disk.read(PATH) == before
    assert full.told == [f"the rules of instruments cannot be kept in {PATH} (No space left on device)"]


def test_the_file_is_its_owner_s_alone(tmp_path):
    life = Life(RealDisk(), folder=tmp_path / "journal").keep(btc_usdt(), eth_btc())
    assert life.cache.path == tmp_path / "journal" / "rules-binance-spot.cache"
    assert life.disk.mode(life.cache.path) == 0o600
    assert len(Life(RealDisk(), folder=tmp_path / "journal").cache.recall(CUT)) == 2


# --- while it runs ----------------------------------------------------------------------------------------
OURS = find_exchange("binance", "spot").instruments("spot", ["BTC/USDT"], BODY)
ONE = {"symbols": ("BTC/USDT",)}


def started_without(later_ns=HOUR):
    life = Life(Life(**ONE).keep(*OURS).disk, later_ns=later_ns, **ONE)
    life.cache.recall(CUT)
    return life


def test_a_start_that_went_by_the_file_asks_until_it_is_answered():
    life = started_without()
    life.answers = [None, None, b"<html>closed for repairs</html>", b"<html>closed for repairs</html>", BODY]
    life.run(600, OURS)
    gaps = [b - a for a, b in zip([3600, *life.asked_s], life.asked_s, strict=False)]
    assert len(gaps) == 5
    assert all(0.49 * 5 * 2**n <= gap <= min(60, 5 * 2**n) + 0.001 for n, gap in enumerate(gaps[:4]))
    assert not life.cache.unconfirmed
    assert [[one.symbol for one in taken] for taken in life.taken] == [["BTC/USDT"]]
    assert len(life.told) == 2  # by what it started, and the repairs, once
    assert "answered exchangeInfo with something else" in life.told[1]
    told_ns = decode(life.disk.read(PATH)).told_ns
    assert told_ns == pytest.approx(START_NS + life.asked_s[-1] * 1e9, abs=1e7)


@pytest.mark.parametrize("ttl_h", [24.0, 2.0])
def test_rules_are_asked_for_again_before_they_are_too_old(ttl_h):
    life = Life(rules_ttl_h=ttl_h, **ONE).keep(*OURS)
    life.answers = [BODY, None, BODY]
    life.run(ttl_h * 3600, OURS)
    assert life.asked_s == pytest.approx([ttl_h * 3600 * part / 4 for part in (1, 2, 3, 4)], abs=0.1)
    assert life.told == []
    assert len(life.taken) == 2
    age_ns = life.time.now_ns() - decode(life.disk.read(PATH)).told_ns
    assert age_ns == pytest.approx(ttl_h * HOUR / 4, abs=1e9)


def test_they_are_asked_for_once_a_minute_at_most():
    life = Life(rules_ttl_h=0.01, **ONE).keep(*OURS)
    life.run(600, OURS)
    assert len(life.asked_s) == 10


def test_with_a_ttl_of_zero_nobody_asks():
    life = Life(rules_ttl_h=0, **ONE)
    assert life.run(86_400, OURS)
    assert life.asked_s == []


@pytest.mark.parametrize(
    ("was", "then", "says"),
    [
        (b'"tickSize":"0.01"', b'"tickSize":"0.1"', "in ticks of 0.1 and lots of 0.1, not 0.01 and 0.1"),
        (b'"stepSize":"0.1"', b'"stepSize":"0.5"', "in ticks of 0.01 and lots of 0.5, not 0.01 and 0.1"),
    ],
)
def test_other_steps_are_told_and_kept_for_the_next_start(was, then, says):
    life = started_without()
    life.answers = [BODY.replace(was, then)]
    life.run(60, OURS)
    assert life.told[1:] == [f"binance spot counts BTC/USDT {says} as this run does: start again"]
    (one,) = Life(life.disk, later_ns=2 * HOUR, **ONE).cache.recall(CUT)
    assert says.startswith(f"in ticks of {one.tick_size} and lots of {one.lot_size}")


def test_a_symbol_that_was_closed_meanwhile_is_handed_on_and_no_reason_to_start_again():
    life = started_without()
    life.answers = [BODY.replace(b"TRADING", b"BREAK").replace(b'"maxQty":"9"', b'"maxQty":"8"')]
    life.run(60, OURS)
    assert [(one.status, one.qty_max) for one in life.taken[0]] == [("BREAK", Decimal(8))]
    assert len(life.told) == 1


def test_where_nobody_takes_what_the_exchange_says_it_is_kept_all_the_same():
    life = started_without()
    life.answers = [BODY]
    life.run(60, OURS, take=False)
    assert not life.cache.unconfirmed
    assert decode(life.disk.read(PATH)).told_ns > START_NS + HOUR


def test_a_symbol_that_is_listed_no_more_is_told_once_and_its_rules_stay():
    life = started_without()
    life.answers = [BODY.replace(b"BTCUSDT", b"ETHUSDT")] * 3
    life.run(120, OURS)
    assert life.told[1:] == ["binance spot lists no BTC/USDT; did you mean ETHUSDT?"]
    assert decode(life.disk.read(PATH)).told_ns == START_NS
    assert life.taken == []


# --- on real sockets --------------------------------------------------------------------------------------
def test_a_paper_daemon_starts_and_trades_without_rest_and_hears_of_the_rules_later(tmp_path):
    exchange = loopback.Exchange(Kraken)

    async def live(urls, then):
        async with loopback.begun(loopback.Daemon(tmp_path, "kraken", urls, "BTC/USD")) as one:
            await one.until(lambda: one.resting == 2)
            await then(one)
            await one.stop()
            one.app.logs.flush()
            return b"".join(one.lines).decode()

    async def rest_comes_back(one):
        assert one.app.status().state == "READY"
        assert exchange.paths.count("/0/public/AssetPairs") == 1
        await exchange.answer_http(int(one.app.config.feed.rest_url.rpartition(":")[2]))
        await one.until(lambda: exchange.paths.count("/0/public/AssetPairs") > 1, 60)

    async def nothing(_):
        pass

    async def go():
        async with exchange.running() as urls:
            first = await live(urls, nothing)
            await exchange.refuse_http()
            return first, await live(urls, rest_comes_back)

    first, second = asyncio.run(go())
    assert "goes by those of" not in first
    assert (
        second.count("kraken spot tells no rules of instruments: this start goes by those of 0 min ago") == 1
    )


def test_without_a_start_before_it_that_start_ends(tmp_path):
    exchange = loopback.Exchange(Kraken)

    async def go():
        async with exchange.running() as urls:
            await exchange.refuse_http()
            async with loopback.begun(loopback.Daemon(tmp_path, "kraken", urls, "BTC/USD")) as one:
                await one.life

    with pytest.raises(NetError, match="AssetPairs"):
        asyncio.run(go())


def test_a_file_reads_as_it_was_written():
    kept = Kept(START_NS, "binance-spot", [btc_usdt()])
    again = decode(encode(kept))
    assert (again.told_ns, again.source, plain(again.instruments)) == (
        START_NS,
        "binance-spot",
        plain([btc_usdt()]),
    )
