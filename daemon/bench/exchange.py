"""`python -m daemon.bench exchange`: the exchange process of the bench, and what it measures.

It says {"event": "ready", "url": ...} and serves, for any NAME of a participant:

    URL/NAME/api/v3/...        REST, as far as a daemon asks at its start; POST order for the naive stack
    URL/NAME/stream            market data by websocket
    URL/NAME/ws-api/v3         orders and the user data stream by websocket

    GET  URL/bench             {"symbols": n}
    POST URL/bench/NAME        a Plan; answered with a Segment once it was run

Another exchange process can take its place (`--exchange URL`): it has to serve the same. While no segment
runs, a thread of plain Python answers what little is asked; during one, a compiled loop has the sockets to
itself (daemon/bench/segment.py).
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import numpy as np

from daemon.bench import segment, venue
from daemon.bench.frames import CLOSE, PARTIAL, PING, TEXT, frame_at
from daemon.bench.market import SYMBOLS_MAX
from daemon.clock import SystemClock
from daemon.errors import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Sequence

#: between two looks for requests while no segment runs
_LOOK_S: Final = 0.002
_KINDS: Final = {
    "closed": segment.CLOSED_LOOP,
    "poisson": segment.POISSON,
    "flood": segment.FLOOD,
    "unmarked": segment.UNMARKED,
    "quotes": segment.QUOTES,
}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a segment is to be; times in ns."""

    kind: Literal["closed", "poisson", "flood", "unmarked", "quotes"]
    duration_ns: int
    gap_ns: int = 0  # closed: after each order; poisson: on average; unmarked, quotes: between ticks
    in_flight: int = 1  # closed: marks out at once
    symbols: int = 0  # quotes: of the first so many; 0: of all


class Segment(msgspec.Struct, kw_only=True):
    """What a segment was."""

    fault: str = ""
    sent: int
    marked: int
    orders: int
    late: int
    held_back: int
    strange: int
    elapsed_ns: int  # from the first tick to the last order
    latency_ns: list[int]


class Participant:
    """One who stands in the daemon's place."""

    def __init__(self, symbols: int, seed: int) -> None:
        self.line = segment.new_line(symbols, seed)
        self.market: socket.socket | None = None
        self.orders: socket.socket | None = None
        self.by_http = False
        self.unread = np.zeros(1 << 16, np.uint8)
        self.filled = 0


class Exchange:
    """All of it: participants by name, one lock between segments and everything else."""

    def __init__(self, symbols: int, seed: int) -> None:
        self.symbols = symbols
        self._seed = seed
        self._clock = SystemClock()
        self._lock = threading.Lock()
        self._participants: dict[str, Participant] = {}

    # --- connections ----------------------------------------------------------------------------------------
    def serve(self, connection: socket.socket) -> None:
        """Answer one connection's requests until it ends or becomes a participant's; one thread each."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (head := venue.read_head(connection)) is not None:
            body = b""
            while len(body) < head.body_bytes:
                body += connection.recv(head.body_bytes - len(body))
            name, _, endpoint = head.path.strip("/").partition("/")
            if name == "bench":
                connection.sendall(self._bench(head.method, endpoint, body))
            elif "upgrade" in head.headers:
                with self._lock:
                    connection.sendall(venue.upgrade(head))
                    self._adopt(name, connection, market=endpoint == "stream")
                return
            elif head.method == "POST" and endpoint == "api/v3/order":
                with self._lock:
                    self._participant(name).by_http = True
                    self._adopt(name, connection, market=False)
                    connection.sendall(venue.http(200, {}))
                return
            else:
                connection.sendall(self._rest(name, endpoint))
        connection.close()

    def _participant(self, name: str) -> Participant:
        if name not in self._participants:
            self._participants[name] = Participant(self.symbols, self._seed)
        return self._participants[name]

    def _adopt(self, name: str, connection: socket.socket, *, market: bool) -> None:
        one = self._participant(name)
        if market:
            one.market = connection
        else:
            one.orders = connection
            one.filled = 0

    def _rest(self, name: str, endpoint: str) -> bytes:
        line = self._participant(name).line
        answer = venue.rest(endpoint.rpartition("/")[2], line, self._clock.now_ns() // 1_000_000)
        return venue.http(404 if answer is None else 200, answer)

    # --- between segments -----------------------------------------------------------------------------------
    def look(self) -> None:
        """Answer what was asked by websocket since."""
        with self._lock:
            for one in self._participants.values():
                if one.orders is not None and not one.by_http:
                    self._answer(one, one.orders)

    def _answer(self, one: Participant, connection: socket.socket) -> None:
        try:
            got = connection.recv(len(one.unread) - one.filled, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            got = b""
        if not got:
            one.orders = None
            return
        one.unread[one.filled : one.filled + len(got)] = np.frombuffer(got, np.uint8)
        one.filled += len(got)
        where = np.zeros(3, np.int64)
        at = 0
        while (opcode := frame_at(one.unread, at, one.filled, where)) != PARTIAL:
            payload = one.unread[where[0] : where[1]].tobytes()
            at = int(where[2])
            if opcode == TEXT:
                time_ms = self._clock.now_ns() // 1_000_000
                connection.sendall(venue.text_frame(venue.session(payload, time_ms)))
            elif opcode == PING:
                connection.sendall(bytes([0x8A, len(payload)]) + payload)
            elif opcode == CLOSE:
                connection.sendall(bytes([0x88, len(payload)]) + payload)
        one.unread[: one.filled - at] = one.unread[at : one.filled].copy()
        one.filled -= at

    # --- segments -------------------------------------------------------------------------------------------
    def _bench(self, method: str, name: str, body: bytes) -> bytes:
        if method == "GET":
            return venue.http(200, {"symbols": self.symbols})
        try:
            return venue.http(200, self.run(name, msgspec.json.decode(body, type=Plan)))
        except DECODE_ERRORS as error:
            return venue.http(400, {"error": str(error)})

    def run(self, name: str, plan: Plan) -> Segment:
        """Run one segment with a participant that has both connections."""
        with self._lock:
            one = self._participant(name)
            tally = one.line.tally
            before = tally.copy()
            if one.market is None or one.orders is None:
                fault = f"{name} is not connected"
            else:
                symbols = min(plan.symbols or self.symbols, self.symbols)
                given = np.array(
                    [_KINDS[plan.kind], plan.duration_ns, plan.gap_ns, plan.in_flight, symbols], np.int64
                )
                code = segment.run(
                    one.line, given, one.market.fileno(), one.orders.fileno(), int(one.by_http)
                )
                fault = segment.FAULTS.get(code, "")
            counts = (tally - before).tolist()
            return Segment(
                fault=fault,
                sent=counts[segment.SENT],
                marked=counts[segment.MARKED],
                orders=counts[segment.ORDERS],
                late=counts[segment.LATE],
                held_back=counts[segment.HELD_BACK],
                strange=counts[segment.STRANGE],
                elapsed_ns=int(tally[segment.LAST_ORDER_NS] - tally[segment.STARTED_NS]),
                latency_ns=segment.latencies(one.line).tolist(),
            )


def warm_up() -> None:
    """Compile the loop, on sockets that are closed."""
    one, other = socket.socketpair()
    other.close()
    plan = np.array([segment.CLOSED_LOOP, 0, 0, 1, 1], np.int64)
    segment.run(segment.new_line(1, 1, 1), plan, one.fileno(), one.fileno(), 0)
    frame_at(np.zeros(2, np.uint8), 0, 0, np.zeros(3, np.int64))
    one.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m daemon.bench exchange", description=__doc__)
    parser.add_argument("--symbols", type=int, default=8, choices=range(1, SYMBOLS_MAX + 1), metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    warm_up()
    exchange = Exchange(options.symbols, options.seed)
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()
    threading.Thread(target=_hear_end, args=(ended,), daemon=True).start()
    threading.Thread(target=_accept, args=(exchange, listener), daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    sys.stdout.write(msgspec.json.encode({"event": "ready", "url": url}).decode() + "\n")
    sys.stdout.flush()
    while not ended.wait(_LOOK_S):
        exchange.look()
    return 0


def _hear_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _accept(exchange: Exchange, listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=exchange.serve, args=(connection,), daemon=True).start()
