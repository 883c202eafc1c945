"""What a process of ours costs while it works: CPU, memory, switches, threads, collections; live or research.

    with PerformanceMonitor() as monitor:  # this process; socket=... of a daemon that runs
        work()
    print(monitor.generate_performance_report().text())

It reads Linux's /proc from a thread of its own, every `interval_s`, and needs nothing to be installed. CPU
times are counted by the kernel in steps of 10 ms.
"""

from __future__ import annotations

import gc
import os
import resource
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from daemon.clock import SystemClock
from daemon.errors import TickdError, UsageError
from daemon.faces.client import daemon_pid, fetch_metrics

if TYPE_CHECKING:
    from types import TracebackType

_PROC: Final = Path("/proc")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
#: where /proc/PID/stat, behind the name in brackets, has the times in user and in kernel mode
_USER, _SYSTEM = 11, 12
#: a share of CPU is over at least so long, in which 10 ms are a tenth
_SHARE_SPAN_S: Final = 0.1
#: of a daemon's counters that moved, so many are in the text; the struct has all
_MOVED_MAX: Final = 20


class Pauses(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how long Python's garbage collector stopped this process since the monitor began."""

    count: int
    total_s: float
    max_s: float


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a process. Times and counts are since the monitor began."""

    at_s: float
    cpu_s: float  # user and system, of all threads
    cpu_share: float  # of one core, since a look some 0.1 s before: 2.0 is two cores
    rss_bytes: int
    rss_peak_bytes: int  # the most since the monitor began
    switches_voluntary: int
    switches_forced: int
    threads: int
    gc: Pauses | None  # None: of another process
    daemon: dict[str, float] | None = None  # its /metrics by name and labels; None: it is no daemon, or gone


class PerformanceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a process cost from the monitor's begin to its last look."""

    pid: int
    command: str
    looks: int
    seconds: float
    cpu_s: float
    cpu_share_mean: float
    cpu_share_max: float  # between two looks
    rss_begin_bytes: int
    rss_end_bytes: int
    rss_peak_bytes: int
    threads_max: int
    switches_voluntary: int
    switches_forced: int
    gc: Pauses | None
    daemon: dict[str, float] | None  # as it last told
    moved: dict[str, float]  # by how much each of its counters grew
    gone: bool  # the process ended while it was watched

    def text(self) -> str:
        """Return it for people."""
        found = [
            f"process {self.pid} ({self.command}), watched for {self.seconds:.3f} s in {self.looks:,} looks"
            + (", until it ended" if self.gone else ""),
            (
                f"cpu      {self.cpu_s:.2f} s, {self.cpu_share_mean:.1%} of a core, "
                f"{self.cpu_share_max:.1%} at most"
            ),
            (
                f"memory   {_mib(self.rss_begin_bytes)} at the begin, {_mib(self.rss_end_bytes)} at the end, "
                f"{_mib(self.rss_peak_bytes)} at most"
            ),
            f"switches {self.switches_voluntary:,} voluntary, {self.switches_forced:,} forced",
            f"threads  {self.threads_max:,} at most",
        ]
        if self.gc is not None:
            found.append(
                f"gc       {self.gc.count:,} collections, {self.gc.total_s * 1e3:.3f} ms in all, "
                f"{self.gc.max_s * 1e3:.3f} ms at most"
            )
        if self.daemon is not None:
            found.append(f"metrics  {len(self.daemon):,} of the daemon, of which moved:")
            most = sorted(self.moved.items(), key=lambda one: -one[1])
            found += [f"  {name} +{by:g}" for name, by in most[:_MOVED_MAX]]
        return "\n".join(found)


class PerformanceMonitor:
    """Watches one process; a context manager too. Its thread never keeps the process alive."""

    def __init__(
        self, pid: int | None = None, *, socket: Path | None = None, interval_s: float = 0.25
    ) -> None:
        """Watch this process, or `pid`, or the daemon that listens on `socket`.

        Raises UsageError, and NotRunningError where nobody listens.
        """
        if not interval_s > 0:
            raise UsageError(f"interval_s must be above 0, and is {interval_s}")
        if pid is not None and socket is not None:
            raise UsageError("pid and socket are two processes: name one")
        self.pid = daemon_pid(socket) if socket is not None else os.getpid() if pid is None else pid
        self._own = self.pid == os.getpid()
        self._folder = _PROC / str(self.pid)
        self._socket = socket
        self._interval_s = interval_s
        self._mono_ns = SystemClock().mono_ns
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._first: Metrics | None = None
        self._last: Metrics | None = None

    # --- what is asked of it ------------------------------------------------------------------------------
    def start_monitoring(self) -> None:
        """Begin; raises UsageError where it runs already or there is no such process, TickdError of /proc."""
        if self._thread is not None:
            raise UsageError("the monitor is running already")
        self._first = self._last = None
        self._gone = False
        self._count = self._threads_max = self._sampled_max = 0
        self._share = self._share_max = 0.0
        self._by_thread: dict[str, tuple[int, int]] = {}
        self._gc_begun_ns = self._gc_count = self._gc_total_ns = self._gc_max_ns = 0
        self._begun_ns = self._shared_ns = self._mono_ns()
        try:
            self._command = _command(self._folder)
            self._cpu_begin_s = self._shared_s = _cpu_s(self._folder)
            self._peak_begin = _memory(self._folder)[1]
            self._switched_begin = self._switched()
        except OSError as error:
            if not (_PROC / "self" / "stat").exists():
                raise TickdError("a monitor needs Linux's /proc, which is not there") from None
            raise UsageError(f"there is no process {self.pid} to watch ({error.strerror})") from None
        self._told = self._told_begin = self._ask()
        self._look()
        if self._own:
            gc.callbacks.append(self._on_collection)
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="performance monitor", daemon=True)
        self._thread.start()

    def stop_monitoring(self) -> None:
        """Take a last look and end; harmless where it has ended."""
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        self._thread = None
        if self._own:
            gc.callbacks.remove(self._on_collection)
        self._told = self._ask() or self._told
        self._look()

    def get_current_metrics(self) -> Metrics:
        """Return the process as it is now, or as it last was; raises UsageError before the begin."""
        if self._thread is not None:
            self._told = self._ask() or self._told
            self._look()
        if self._last is None:
            raise UsageError("the monitor has seen nothing yet: call start_monitoring first")
        return self._last

    def generate_performance_report(self) -> PerformanceReport:
        """Return what it cost so far; raises UsageError before the begin."""
        last = self.get_current_metrics()
        assert self._first is not None
        mean = last.cpu_s / last.at_s if last.at_s else 0.0
        told, before = last.daemon or {}, self._told_begin or {}
        counted = [name for name in told if name.partition("{")[0].endswith(("_total", "_count"))]
        return PerformanceReport(
            pid=self.pid,
            command=self._command,
            looks=self._count,
            seconds=last.at_s,
            cpu_s=last.cpu_s,
            cpu_share_mean=mean,
            cpu_share_max=max(mean, self._share_max),
            rss_begin_bytes=self._first.rss_bytes,
            rss_end_bytes=last.rss_bytes,
            rss_peak_bytes=last.rss_peak_bytes,
            threads_max=self._threads_max,
            switches_voluntary=last.switches_voluntary,
            switches_forced=last.switches_forced,
            gc=last.gc,
            daemon=last.daemon,
            moved={name: by for name in counted if (by := told[name] - before.get(name, 0.0))},
            gone=self._gone,
        )

    def __enter__(self) -> PerformanceMonitor:
        self.start_monitoring()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_monitoring()

    # --- looking ------------------------------------------------------------------------------------------
    def _run(self) -> None:
        while not self._stop.wait(self._interval_s) and not self._gone:
            self._look()

    def _look(self) -> None:
        """Take a look; of a process that has ended the last one stays."""
        with self._lock:
            try:
                cpu_s, (rss, peak, threads) = _cpu_s(self._folder), _memory(self._folder)
                voluntary, forced = self._switched()
            except (OSError, ValueError):  # it ended, perhaps amid the look
                self._gone = True
                return
            now_ns = self._mono_ns()
            span_s = (now_ns - self._shared_ns) / 1e9
            if span_s >= _SHARE_SPAN_S:
                self._share = (cpu_s - self._shared_s) / span_s
                self._share_max = max(self._share_max, self._share)
                self._shared_ns, self._shared_s = now_ns, cpu_s
            self._count += 1
            self._threads_max = max(self._threads_max, threads)
            self._sampled_max = max(self._sampled_max, rss)
            self._last = Metrics(
                at_s=(now_ns - self._begun_ns) / 1e9,
                cpu_s=cpu_s - self._cpu_begin_s,
                cpu_share=self._share,
                rss_bytes=rss,
                # the kernel's own mark misses nothing between two looks, but it is of the whole life
                rss_peak_bytes=max(peak, self._sampled_max) if peak > self._peak_begin else self._sampled_max,
                switches_voluntary=voluntary - self._switched_begin[0],
                switches_forced=forced - self._switched_begin[1],
                threads=threads,
                gc=self._pauses() if self._own else None,
                daemon=self._told,
            )
            self._first = self._first or self._last

    def _switched(self) -> tuple[int, int]:
        """Return voluntary and forced switches: of other processes without those of threads never seen."""
        if self._own:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            return usage.ru_nvcsw, usage.ru_nivcsw
        for task in (self._folder / "task").iterdir():
            try:
                fields = _status(task)
            except (FileNotFoundError, ProcessLookupError):
                continue  # a thread that ended meanwhile: what it last had stays
            self._by_thread[task.name] = (
                int(fields["voluntary_ctxt_switches"]),
                int(fields["nonvoluntary_ctxt_switches"]),
            )
        seen = self._by_thread.values()
        return sum(one for one, _ in seen), sum(one for _, one in seen)

    def _ask(self) -> dict[str, float] | None:
        """Return a daemon's metrics; None where it is none, or does not answer any more."""
        if self._socket is None:
            return None
        try:
            return _samples(fetch_metrics(self._socket))
        except TickdError:
            return None

    def _on_collection(self, phase: str, _: dict[str, Any]) -> None:
        if phase == "start":
            self._gc_begun_ns = self._mono_ns()
        elif self._gc_begun_ns:
            span_ns = self._mono_ns() - self._gc_begun_ns
            self._gc_count += 1
            self._gc_total_ns += span_ns
            self._gc_max_ns = max(self._gc_max_ns, span_ns)

    def _pauses(self) -> Pauses:
        return Pauses(count=self._gc_count, total_s=self._gc_total_ns / 1e9, max_s=self._gc_max_ns / 1e9)


def _command(folder: Path) -> str:
    """Return the name of a process, 15 letters at most; raises OSError."""
    return (folder / "comm").read_text().strip()


def _cpu_s(folder: Path) -> float:
    """Return what a process and its ended threads took of CPUs; raises OSError."""
    behind_name = (folder / "stat").read_text().rpartition(")")[2].split()
    return (int(behind_name[_USER]) + int(behind_name[_SYSTEM])) / _TICKS_PER_S


def _memory(folder: Path) -> tuple[int, int, int]:
    """Return resident bytes, the most of its life, and threads; raises OSError, ValueError of a zombie."""
    fields = _status(folder)
    if "VmRSS" not in fields:
        raise ValueError("it has ended, and nobody has fetched its exit code")
    return _bytes(fields["VmRSS"]), _bytes(fields["VmHWM"]), int(fields["Threads"])


def _status(folder: Path) -> dict[str, str]:
    lines = (folder / "status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _bytes(text: str) -> int:
    return int(text.removesuffix(" kB")) * 1024


def _samples(text: str) -> dict[str, float]:
    """Return what a page of metrics says, by name and labels."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if name and not line.startswith("#"):
            found[name] = float(value)
    return found


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
