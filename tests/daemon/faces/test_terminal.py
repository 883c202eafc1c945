from __future__ import annotations

import asyncio
import io

import msgspec
import pytest
from rich.console import Console

from daemon.faces.terminal import (
    LiveView,
    PlainView,
    amount,
    duration,
    line,
    open_view,
    picture,
    render,
    steps,
    summary,
    watch,
)
from daemon.status import InstrumentStatus, MqttStatus, OrderCounts, StageLatency, Status, StrategyStatus


def make(events=1000, now_s=10.0, **changes):
    instrument = InstrumentStatus(
        symbol="BTC/USDT",
        base="BTC",
        trades=events,
        feed_age_s=0.0034,
        book_synced=True,
        bid=61737.6,
        ask=61737.7,
        position=0.0123,
        realised=12.0,
        unrealised=-1.0,
        fees=3.25,
    )
    stage = StageLatency(
        stage="order",
        count=5,
        sum_s=1.0,
        p50_s=29.3e-6,
        p99_s=0.000102,
        p999_s=0.00014,
        max_s=1.5,
        buckets=[],
    )
    given = {
        "name": "demo",
        "mode": "demo",
        "version": "1",
        "state": "READY",
        "now_ns": int(now_s * 1e9),
        "uptime_s": now_s,
        "quote": "USDT",
        "equity": 100_012.2,
        "venue_up": True,
        "latency": [stage],
        "instruments": [instrument],
        "orders": OrderCounts(
            by_state={"FILLED": 33, "REJECTED": 0}, placed=40, fills=35, refusals={"collar": 3}
        ),
    }
    return Status(**{**given, **changes})


def text_of(content, width=80):
    console = Console(width=width, file=io.StringIO())
    console.print(content)
    return console.file.getvalue()


def test_the_view_fits_eighty_columns_and_tells_what_matters():
    text = text_of(render(make()))
    assert "…" not in text
    for fact in (
        "READY",
        "100/s",
        "3.4 ms",
        "100,012.20",
        "+7.75",
        "61,737.7",
        "synced",
        "+0.0123",
        "open",
    ):
        assert fact in text
    for fact in ("order", "29.3 us", "102 us", "140 us", "1.5 s", "FILLED", "refused: collar"):
        assert fact in text
    assert "REJECTED" not in text


def test_what_became_of_a_strategy_s_memory_is_told_while_it_matters():
    one = StrategyStatus(
        name="ema_cross", symbols=["BTC/USDT"], began="restored from 2.0 s ago", on_gap="mark"
    )
    assert "ema_cross" not in text_of(render(make(strategies=[one])), 110)
    told = msgspec.structs.replace(one, gaps=1, cold_ticks=1200)
    for content in (render(make(strategies=[told])), summary(make(strategies=[told]))):
        assert (
            "strategy ema_cross began restored from 2.0 s ago, warms up for 1,200 more ticks, 1 gap (mark)"
            in text_of(content, 110)
        )


def test_what_was_never_sent_is_told_beside_what_the_venue_refused():
    orders = OrderCounts(rejected={"-2010": 6}, unsent=12, refusals={"collar": 3})
    told = " ".join(text_of(summary(make(orders=orders)), 110).split())
    assert "refused 3 here and 6 by the venue, never sent 12, unknown 0" in told
    for content in (render(make(orders=orders)), summary(make(orders=orders))):
        rows = [" ".join(line.split()) for line in text_of(content, 110).splitlines()]
        assert any("rejected: -2010 6" in row for row in rows)
        assert any("never sent 12" in row and "by the venue" not in row for row in rows)
    assert "never sent" not in text_of(render(make()))


def test_pauses_of_the_collector_stand_below_the_stages_that_wait_for_them():
    pause = StageLatency(
        stage="gc pause",
        count=7,
        sum_s=1.0,
        p50_s=5e-6,
        p99_s=38e-6,
        p999_s=38e-6,
        max_s=38e-6,
        buckets=[],
    )
    stages = [
        line.split()[1] for line in text_of(render(make(gc_pause=pause))).splitlines() if " us " in line
    ]
    assert stages == ["order", "gc"]


def test_the_rate_is_what_came_between_two_looks():
    assert "500/s" in text_of(render(make(events=2000, now_s=12.0), make(events=1000, now_s=10.0)))
    assert "(500/s)" in line(make(events=2000, now_s=12.0), make(events=1000, now_s=10.0))
    assert "(100/s)" in line(make(), make())


def test_a_line_ends_with_the_latency_from_tick_to_order_once_there_is_one():
    assert line(make()).endswith(", tick to order p50 29.3 us p99 102 us")
    assert line(make(latency=[])).endswith("35 fills")


def test_a_daemon_that_has_seen_nothing_is_shown_without_guesses():
    empty = make(
        instruments=[InstrumentStatus(symbol="BTC/USDT")],
        latency=[],
        equity=None,
        uptime_s=0.0,
        state="STARTING",
        orders=OrderCounts(),
    )
    text = text_of(render(empty))
    assert "STARTING" in text
    assert " no " in text
    assert "none" in text  # of orders and refusals
    assert line(empty).startswith("STARTING 0 events (0/s), feed age -, position +0 BTC/USDT, PnL +0.00 USDT")


@pytest.mark.parametrize(
    ("position", "text"),
    [
        (0.0, "+0"),
        (-0.0, "+0"),
        (3e-8, "+0.00000003"),
        (-0.00499001, "-0.00499001"),
        (0.1 + 0.2, "+0.3"),
        (-1e-12, "+0"),
        (12_345_678.0, "+12345678"),
    ],
)
def test_a_position_is_written_out(position, text):
    assert amount(position) == text


@pytest.mark.parametrize(
    ("bid", "ask", "shown"),
    [
        (59_950.08, 59_950.1, ["59,950.08", "59,950.10"]),
        (0.00001234, 0.0000124, ["0.00001234", "0.00001240"]),
        (2.0, 3.0, ["2", "3"]),
        (None, 0.1 + 0.2, ["-", "0.3"]),
        (None, None, ["-", "-"]),
    ],
)
def test_both_sides_have_as_many_decimals(bid, ask, shown):
    one = msgspec.structs.replace(make().instruments[0], bid=bid, ask=ask)
    (row,) = (line for line in text_of(summary(make(instruments=[one]))).splitlines() if "synced" in line)
    assert row.split()[1:3] == shown


def test_why_an_instrument_is_closed_fits_beside_a_long_position():
    one = msgspec.structs.replace(
        make().instruments[0], position=-0.00499001, bid=60_006.05, ask=60_006.06, gate="unknown_order"
    )
    text = text_of(render(make(instruments=[one])))
    for fact in ("60,006.05", "60,006.06", "synced", "-0.00499001", "+7.75", "3.25", "unknown_order"):
        assert fact in text
    assert "-0.00499001 BTC" in text_of(summary(make(instruments=[one], state="STOPPED")))


def test_a_halt_tells_why():
    assert "HALTED (daily loss)" in text_of(render(make(state="HALTED", reason="daily loss")))


def test_the_summary_counts_by_event_type():
    text = text_of(summary(make(feed_errors={"json": 2}, digest="00ff")))
    assert "1,000 trades, 0 quotes, 0 depth updates, 0 snapshots" in text
    assert "100 events/s" in text
    assert "2 errors (json 2), 0 gaps, 0 trades missed, 0 depth updates dropped" in text
    assert "00ff" in text


def test_the_summary_tells_of_the_broker_where_there_is_one():
    assert "mqtt" not in text_of(summary(make()))
    mqtt = MqttStatus(broker="h:1", connected=True, queued=2, published=1, dropped=3000)
    assert "connected to h:1, 2 wait, 3,000 dropped" in text_of(summary(make(mqtt=mqtt)))
    mqtt.connected, mqtt.failure, mqtt.refused = False, "h:1 is gone", {"fills": 4}
    assert "h:1 is gone, 2 wait, 3,000 dropped, 4 refused" in text_of(summary(make(mqtt=mqtt)))
    mqtt.failure = ""
    assert "not connected to h:1, 2 wait" in text_of(summary(make(mqtt=mqtt)))


def test_the_summary_of_a_stopped_daemon_shows_no_gates():
    assert "gate" in text_of(summary(make()))
    assert "gate" not in text_of(summary(make(state="STOPPED")))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0, "0 ns"),
        (5e-9, "5 ns"),
        (9.9996e-7, "1 us"),
        (1.234e-5, "12.3 us"),
        (0.0015, "1.5 ms"),
        (0.99999, "1.0 s"),
        (3.04, "3.0 s"),
        (5000.0, "5,000 s"),
    ],
)
def test_spans_are_written_for_people(seconds, text):
    assert duration(seconds) == text


def test_a_pipe_gets_one_line_a_look():
    console = Console(file=io.StringIO(), width=40)
    view = open_view(console)
    assert isinstance(view, PlainView)
    view.show(make())
    view.show(make(now_s=11.0))
    view.close()
    assert len(console.file.getvalue().splitlines()) == 2


def test_a_terminal_gets_the_view_and_its_cursor_back():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    view = open_view(console)
    assert isinstance(view, LiveView)
    view.show(make())
    view.close()
    assert "BTC/USDT" in console.file.getvalue()
    assert console.file.getvalue().rstrip().endswith("\x1b[2K")
    assert "\x1b[?25h" in console.file.getvalue()


def test_watching_ends_with_the_daemon_and_closes_the_view():
    shown = []

    class Spy:
        def show(self, status):
            shown.append(status)

        def close(self):
            shown.append("closed")

    answers = [make(), make(now_s=11.0)]

    def read():
        if not answers:
            raise ConnectionError("gone")
        return answers.pop(0)

    with pytest.raises(ConnectionError):
        asyncio.run(watch(read, Spy(), 0.0))
    assert len(shown) == 3
    assert shown[-1] == "closed"


@pytest.mark.parametrize("terminal", [True, False])
def test_steps_are_named_as_they_begin(terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    with steps(console, "compiling", 2) as step:
        step("features")
        step("forest")
    assert "compiling: features" in console.file.getvalue()
    assert "compiling: forest" in console.file.getvalue()


def test_the_picture_needs_nothing_from_elsewhere():
    svg = picture(render(make()), "tickd demo")
    assert svg.startswith("<svg")
    assert "BTC/USDT" in svg
    assert "url(" not in svg.replace("url(#", "")
    assert "@font-face" not in svg


@pytest.mark.parametrize("drawing", [render, summary])
def test_a_strategy_that_failed_is_named_with_what_it_did(drawing):
    failed = make(strategy_faults={"ml": "raised ValueError: no rows"})
    assert "strategy ml raised ValueError: no rows" in text_of(drawing(failed))
    assert "strategy ml" not in text_of(drawing(make()))


@pytest.mark.parametrize("drawing", [render, summary])
def test_what_nobody_minds_is_told(drawing):
    assert "nobody minds 1 BTC" in text_of(drawing(make(left_behind=["nobody minds 1 BTC"])))
