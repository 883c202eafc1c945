from __future__ import annotations

import asyncio
import json
import logging
from decimal import Decimal
from types import SimpleNamespace

import pytest

from daemon.clock import LoopScheduler, SystemClock, VirtualTime
from daemon.config import LogConfig
from daemon.disk import RealDisk
from daemon.errors import ConfigError
from daemon.logs import BURST_MAX, FLUSH_NS, QUEUE_MAX, Logs, open_logs

START_NS = 1_700_000_000_000_000_000


def make(form="json", level="info"):
    time = VirtualTime(START_NS)
    written = []
    logs = Logs(time, written.append, level, form)
    return logs, time, lambda: b"".join(written).decode().splitlines()


def test_nothing_is_rendered_before_the_flush():
    logs, _, lines = make()
    logs.get("feed").info("connected", url="wss://x")
    assert lines() == []
    logs.flush()
    assert json.loads(lines()[0]) == {
        "time": "2023-11-14T22:13:20.000000Z",
        "level": "info",
        "component": "feed",
        "event": "connected",
        "url": "wss://x",
    }


def test_the_level_can_change_for_loggers_that_are_there_already():
    logs, _, lines = make(level="warning")
    log = logs.get("feed")
    for level in ("warning", "debug", "error"):
        logs.set_level(level)
        for method in (log.debug, log.info, log.warning, log.error):
            method(f"under_{level}")
    logs.flush()
    said = [(json.loads(line)["event"], json.loads(line)["level"]) for line in lines()]
    assert said == [
        *(("under_warning", level) for level in ("warning", "error")),
        *(("under_debug", level) for level in ("debug", "info", "warning", "error")),
        ("under_error", "error"),
    ]
    assert logs.dropped == 0


def test_a_bound_field_is_on_every_line():
    logs, _, lines = make()
    log = logs.get("orders").bind(client_order_id="t-1-1")
    log.info("placed", price=Decimal("1.50"))
    log.warning("rejected")
    logs.flush()
    assert [json.loads(line)["client_order_id"] for line in lines()] == ["t-1-1", "t-1-1"]
    assert json.loads(lines()[0])["price"] == "1.50"


def test_the_console_form_keeps_hostile_text_on_its_line():
    logs, _, lines = make("console")
    logs.get("venue").error("refused", reason="a\nb\x1b[31m", code=-2010)
    logs.flush()
    assert lines() == [r"22:13:20.000 error   venue: refused reason='a\nb\x1b[31m' code=-2010"]


@pytest.mark.parametrize("form", ["console", "json"])
def test_secrets_are_masked(form):
    logs, _, lines = make(form)
    logs.get("venue").info("asked", url="https://x/y?signature=abcdef0123456789", token="hunter2hunter2")
    logs.flush()
    assert "abcdef0123456789" not in lines()[0]
    assert "hunter2" not in lines()[0]


def test_levels_below_the_configured_one_cost_no_line():
    logs, _, lines = make(level="warning")
    logs.get("a").info("quiet")
    logs.get("a").warning("loud")
    logs.flush()
    assert [json.loads(line)["event"] for line in lines()] == ["loud"]
    assert (logs.passes_over("fill"), logs.passes_over("order", "warning")) == (True, False)


def test_an_event_that_repeats_too_fast_is_counted_and_told_later():
    logs, time, lines = make()
    log = logs.get("feed")
    for _ in range(BURST_MAX + 30):
        log.warning("bad frame")
    log.warning("another event")
    assert logs.dropped == 30
    time.advance(START_NS + 1_000_000_000)
    log.warning("bad frame")
    logs.flush()
    assert len(lines()) == BURST_MAX + 2
    assert json.loads(lines()[-1])["suppressed"] == 30


def test_a_full_queue_drops_and_counts():
    logs, time, lines = make()
    log = logs.get("feed")
    for number in range(QUEUE_MAX + 5):
        time.advance(START_NS + number * 1_000_000_000)
        log.info("tick")
    assert logs.dropped == 5
    logs.flush()
    assert len(lines()) == QUEUE_MAX


def test_a_disk_that_is_full_ends_nothing():
    def write(data):
        raise OSError(28, "No space left on device")

    logs = Logs(VirtualTime(START_NS), write)
    logs.get("a").info("one")
    logs.flush()
    assert logs.dropped == 1


def test_the_timer_writes_ten_times_a_second_until_stopped():
    logs, time, lines = make()
    logs.start(time)
    logs.get("a").info("one")
    time.advance(START_NS + FLUSH_NS)
    assert len(lines()) == 1
    logs.get("a").info("two")
    logs.stop()
    assert len(lines()) == 2
    assert time.next_ns is None


def test_an_exception_carries_its_traceback():
    logs, _, lines = make()
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        logs.get("engine").exception("halted")
    logs.flush()
    assert json.loads(lines()[0])["exception"].endswith("RuntimeError: boom")
    logs, _, lines = make("console")
    logs.get("a").error("halted", exc_info=RuntimeError("boom"))
    logs.flush()
    assert lines()[-1] == "RuntimeError: boom"


def test_what_libraries_log_is_taken_over(monkeypatch):
    monkeypatch.setattr(logging, "root", logging.RootLogger(logging.WARNING))
    monkeypatch.setattr(logging.Logger, "root", logging.root)
    monkeypatch.setattr(logging.Logger, "manager", logging.Manager(logging.root))
    logs, _, lines = make()
    logs.install()
    logging.getLogger("asyncio").warning("slow %s", "callback")
    logging.getLogger("asyncio").info("not this")
    logs.flush()
    (line,) = map(json.loads, lines())
    assert (line["component"], line["event"], line["message"]) == ("library", "asyncio", "slow callback")


def test_logs_go_to_the_configured_file(tmp_path):
    async def go(path):
        clock = SystemClock()
        seams = SimpleNamespace(clock=clock, scheduler=LoopScheduler(clock), disk=RealDisk())
        logs = open_logs(LogConfig(file=str(path), format="json"), seams)
        logs.get("test").info("hello")
        logs.stop()

    asyncio.run(go(tmp_path / "a.log"))
    assert '"event":"hello"' in (tmp_path / "a.log").read_text()
    with pytest.raises(ConfigError, match=r"log.file .* cannot be written \(Is a directory\)"):
        asyncio.run(go(tmp_path))
