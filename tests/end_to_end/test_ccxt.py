"""The whole daemon with its orders through ccxt, as ccxt's own Binance, killed and started again."""

from __future__ import annotations

import json

import pytest

from tests.end_to_end.agreement import check_agreement
from tests.end_to_end.harness import CROSS, MAKER, until

JOURNAL = "var/one/journal-live-binance"
RECORDED = {"TICKD__TAPE__RECORD": "true"}


def check_replay(bench, env=None):
    """Judge that the one session on record is replayed to the same."""
    (tape,) = (bench.folder / "var" / "one").glob("tape*")
    (session,) = tape.iterdir()
    verdict = json.loads(bench.run("replay", "--verify", session, "--json", env=env).out)
    assert verdict["complete"], verdict["why_short"]
    assert verdict["records"] == verdict["records_of_session"] > 4


def test_a_killed_daemon_on_ccxt_continues_its_position_and_sent_nothing_twice(bench):
    exchange = bench.exchange("--symbol", "BTC/USDT")
    before = exchange.holds()
    daemon = bench.live(exchange, CROSS, kind="ccxt")
    daemon.ready()
    daemon.filled(3)
    daemon.child.kill()
    daemon = bench.live(exchange, CROSS, MAKER, kind="ccxt")
    daemon.ready()
    daemon.filled(3)
    check_agreement(bench, exchange, daemon, before, JOURNAL, numbered=False)
    assert daemon.child.end() == 0


def test_it_leaves_no_order_behind_and_its_record_is_replayed(bench, exchange):
    daemon = bench.live(exchange, MAKER, kind="ccxt", env=RECORDED)
    daemon.ready()
    until(lambda: len(exchange.open_orders()) == 2, "two orders stand")
    assert daemon.child.end() == 0
    assert exchange.open_orders() == []
    check_replay(bench)


def test_a_paper_daemon_trades_on_what_ccxt_gives_of_the_exchange(bench, exchange):
    before = len(exchange.orders())
    config = bench.config(exchange.urls, CROSS, mode="paper", kind="paper")
    daemon = bench.daemon(
        bench.tickd("paper", config, "--json", env={"TICKD__FEED__EXCHANGE": "ccxt:binance", **RECORDED})
    )
    daemon.ready()
    daemon.until(lambda state: state["instruments"][0]["book_synced"], "the book is in sync")
    daemon.filled(3)
    assert daemon.child.end() == 0
    assert len(exchange.orders()) == before
    check_replay(bench)


# each sentence is its module's business: one start that comes far shows how it is said, the rest is heavy
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"TICKD__VENUE__EXCHANGE": "okx", "TICKD_PASSWORD": "p"}, "venue.stops = false"),
        *(
            pytest.param(*one, marks=pytest.mark.heavy)
            for one in (
                (
                    {"TICKD__VENUE__EXCHANGE": "nowhere"},
                    "venue.exchange 'nowhere' is not among those known here",
                ),
                ({"TICKD__VENUE__EXCHANGE": "okx"}, "okx wants a password"),
                ({"TICKD__NAME": "averylongname-xx", "TICKD__VENUE__EXCHANGE": "gate"}, "28 characters"),
                ({"TICKD_SECRET": ""}, "the environment variable TICKD_SECRET has the"),
            )
        ),
    ],
)
def test_what_the_exchange_does_not_have_is_said_with_78(bench, exchange, change, said):
    config = bench.config(exchange.urls, MAKER, kind="ccxt")
    child = bench.run("run", config, "--live", env={**exchange.keys, **change}, code=78)
    assert said in child.complaint
