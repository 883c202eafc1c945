from __future__ import annotations

import gc
import mmap
import os
import subprocess
import sys
import threading
import time

import pytest

from daemon.bench import monitor as module
from daemon.bench.monitor import PerformanceMonitor
from daemon.errors import NotRunningError, UsageError
from daemon.faces.client import daemon_pid
from tests.daemon.faces.test_client import ask

MIB = 2**20


def burn(seconds):
    """Take so much CPU, however long that takes here."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_what_burns_cpu_shows_it_and_what_sleeps_does_not():
    with PerformanceMonitor(interval_s=0.05) as busy:
        burn(0.3)
    with PerformanceMonitor(interval_s=0.05) as idle:
        time.sleep(0.3)
    hot, cold = busy.generate_performance_report(), idle.generate_performance_report()
    assert 0.25 < hot.cpu_s < 1
    assert cold.cpu_s < 0.15
    assert hot.cpu_share_mean == pytest.approx(hot.cpu_s / hot.seconds)
    assert hot.cpu_share_max >= hot.cpu_share_mean
    assert cold.switches_voluntary > 0
    assert hot.looks > 2


#: a process whose life had no higher peak before
_ALLOCATES = """
from daemon.bench.monitor import PerformanceMonitor
with PerformanceMonitor(interval_s=60) as monitor:
    first = monitor.get_current_metrics()
    held = bytearray(b"x") * (128 << 20)
    del held
report = monitor.generate_performance_report()
print(first.rss_peak_bytes, report.looks, report.rss_begin_bytes, report.rss_peak_bytes, report.rss_end_bytes)
"""


def test_what_is_allocated_between_two_looks_shows_in_the_peak_and_is_gone_at_the_end(root):
    told = subprocess.run(
        [sys.executable, "-c", _ALLOCATES], cwd=root, capture_output=True, text=True, check=True, timeout=60
    )
    first, looks, begin, peak, end = map(int, told.stdout.split())
    assert looks == 3  # at the begin, when it was asked, at the end
    assert first - begin < 30 * MIB
    assert 120 * MIB < peak - begin < 200 * MIB
    assert end - begin < 30 * MIB


def test_a_peak_of_before_is_none_of_its_own():
    with mmap.mmap(-1, 128 * MIB) as held:
        for at in range(0, 128 * MIB, 4096):
            held[at] = 1
    with PerformanceMonitor() as monitor:
        pass
    report = monitor.generate_performance_report()
    assert report.rss_peak_bytes - report.rss_begin_bytes < 64 * MIB


def test_collections_are_counted_and_timed_while_it_watches():
    with PerformanceMonitor() as monitor:
        gc.collect()
        gc.collect()
    seen = monitor.generate_performance_report().gc
    assert seen.count >= 2
    assert 0 < seen.max_s <= seen.total_s
    gc.collect()
    assert monitor.get_current_metrics().gc == seen
    assert monitor._on_collection not in gc.callbacks


def test_threads_are_counted_and_its_own_ends():
    stop = threading.Event()
    before = threading.active_count()
    monitor = PerformanceMonitor(interval_s=0.02)
    monitor.start_monitoring()
    others = [threading.Thread(target=stop.wait) for _ in range(3)]
    for one in others:
        one.start()
    now = monitor.get_current_metrics().threads
    stop.set()
    for one in others:
        one.join()
    monitor.stop_monitoring()
    monitor.stop_monitoring()
    assert threading.active_count() == before
    assert now >= before + 4
    assert monitor.generate_performance_report().threads_max >= now


def test_another_process_is_watched_until_it_ends():
    code = "input()\nx = bytearray(64 << 20)\nfor _ in range(3000000): pass\nprint(1, flush=True)\ninput()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        monitor = PerformanceMonitor(child.pid, interval_s=0.02)
        monitor.start_monitoring()
        child.stdin.write("begin\n")
        child.stdin.flush()
        child.stdout.readline()
        seen = monitor.get_current_metrics()
        child.communicate("end\n")
        report = monitor.generate_performance_report()
        monitor.stop_monitoring()
    finally:
        child.kill()
        child.wait()
    assert seen.gc is None
    assert seen.rss_bytes > 64 * MIB
    assert seen.cpu_s > 0
    assert seen.switches_voluntary + seen.switches_forced > 0
    assert (report.pid, report.gone) == (child.pid, True)
    assert report.rss_peak_bytes >= 64 * MIB
    assert "until it ended" in report.text()
    with pytest.raises(UsageError, match=f"there is no process {child.pid} to watch"):
        PerformanceMonitor(child.pid).start_monitoring()


def test_a_daemon_is_found_by_its_socket_and_its_metrics_are_in_the_report(tmp_path):
    def watch(path):
        assert daemon_pid(path) == os.getpid()
        with PerformanceMonitor(socket=path) as monitor:
            assert monitor.get_current_metrics().daemon["tickd_uptime_seconds"] == 2
        return monitor.generate_performance_report()

    report, _ = ask(tmp_path, watch)
    assert report.pid == os.getpid()
    assert report.daemon["tickd_uptime_seconds"] == 2
    assert "of the daemon, of which moved:" in report.text()
    with pytest.raises(NotRunningError):
        PerformanceMonitor(socket=tmp_path / "none.sock")


def test_counters_that_moved_are_told_and_gauges_are_not(monkeypatch, tmp_path):
    pages = ["# TYPE a counter\na_total 1\ng 5\n", 'a_total 4\ng 9\nb_total{x="y z"} 2\nc_total 0\n']
    monkeypatch.setattr(module, "daemon_pid", lambda _: os.getpid())
    monkeypatch.setattr(module, "fetch_metrics", lambda _: pages.pop(0) if len(pages) > 1 else pages[0])
    with PerformanceMonitor(socket=tmp_path) as monitor:
        pass
    report = monitor.generate_performance_report()
    assert report.moved == {"a_total": 3, 'b_total{x="y z"}': 2}
    assert report.text().splitlines()[-2:] == ["  a_total +3", '  b_total{x="y z"} +2']
    assert report.daemon["g"] == 9


def test_what_cannot_be_is_one_sentence():
    monitor = PerformanceMonitor()
    for ask_it in (monitor.get_current_metrics, monitor.generate_performance_report):
        with pytest.raises(UsageError, match="call start_monitoring first"):
            ask_it()
    with monitor, pytest.raises(UsageError, match="running already"):
        monitor.start_monitoring()
    with pytest.raises(UsageError, match="above 0"):
        PerformanceMonitor(interval_s=0)
    with pytest.raises(UsageError, match="name one"):
        PerformanceMonitor(1, socket=module.Path("x"))


def test_the_text_has_every_part():
    with PerformanceMonitor() as monitor:
        pass
    words = [line.split()[0] for line in monitor.generate_performance_report().text().splitlines()]
    assert words == ["process", "cpu", "memory", "switches", "threads", "gc"]
