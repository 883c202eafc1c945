"""What goes wrong between daemon and exchange just now. Faults set it and take it back; the lines ask it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.simulation.checks import placed_in, places

if TYPE_CHECKING:
    from tests.simulation.gate import Door
    from tests.simulation.net import Line
    from tests.simulation.transport import Link
    from tests.simulation.world import World

ADDRESS = "10.0.0.1"  # the daemon's machine
MS = 1_000_000
#: one way, between a line's ends
LATENCY_NS = (MS // 2, 4 * MS)


class Weather:
    """The state of the way. `next_*` are counts of frames that it will strike."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = world.random
        self.lag_ns = 0
        self.refusing_orders = self.refusing_market = False
        self.held_until_ns = {True: 0, False: 0}  # by whether a line carries orders
        self.http_fate = ""
        self.http_share = 0.7  # of the requests that it befalls
        # of bytes alone:
        self.unread_until_ns = {True: 0, False: 0}  # likewise
        self.unresolved = self.shredding = False
        #: what befalls the next frames of a kind: "lose_report", "repeat_report", "delay_report",
        #: "lose_answer", "delay_answer", "lose_request", "mute"
        self.next: Counter[str] = Counter()
        #: client order ids of which nothing is heard -> until when
        self.muted: dict[bytes, int] = {}
        self.mute_ns = 0

    # --- the way --------------------------------------------------------------------------------------------
    def arrives(self, line: Line | Link | None) -> int:
        """Return when what leaves now arrives."""
        del line
        return self._world.time.now_ns() + self._random.randint(*LATENCY_NS) + self.lag_ns

    def holds(self, line: Line | Link) -> int:
        """Return until when nothing passes on the line."""
        return self.held_until_ns[line.orders]

    def reads(self, link: Link, upward: bool) -> int:
        """Return until when nobody takes what arrives at the daemon or, `upward`, at the exchange."""
        held_ns = self.holds(link)
        return max(held_ns, self.unread_until_ns[link.orders]) if upward else held_ns

    def refuses(self, orders: bool) -> bool:
        """Whether a connection is refused now."""
        return self.refusing_orders if orders else self.refusing_market

    def http(self) -> str:
        """Return what befalls a request that leaves now: nothing (empty), or a word of Gate.meet."""
        return self.http_fate if self._random.random() < self.http_share else ""

    # --- single frames --------------------------------------------------------------------------------------
    def _takes(self, what: str) -> bool:
        if self.next[what] <= 0:
            return False
        self.next[what] -= 1
        self._world.struck(what)
        return True

    def loses_up(self, line: Door, payload: bytes) -> bool:
        """Whether a request gets lost; of the order of a muted one nobody hears for a while."""
        if line.orders and places(payload) and self._takes("mute"):
            name, _ = placed_in(payload)
            self.muted[name.encode()] = self._world.time.now_ns() + self.mute_ns
        return line.orders and b'"order.' in payload and self._takes("lose_request")

    def tells(self, line: Door, payload: bytes) -> list[bytes]:
        """Return what is put on the line now for a frame of the exchange's."""
        if not line.orders:
            return [payload]
        if self.muted and self._is_mute(payload):
            return []
        if b'"executionReport"' in payload or b'"ORDER_TRADE_UPDATE"' in payload:
            if self._takes("lose_report"):
                return []
            if self._takes("repeat_report"):
                self._later(line, payload)
                return [payload]
            if self._takes("delay_report"):
                self._later(line, payload)
                return []
        elif b'"orderId"' in payload and b'"clientOrderId"' in payload:
            if self._takes("lose_answer"):
                return []
            if self._takes("delay_answer"):
                self._later(line, payload)
                return []
        return [payload]

    def _is_mute(self, payload: bytes) -> bool:
        now_ns = self._world.time.now_ns()
        return any(name in payload and now_ns < until_ns for name, until_ns in self.muted.items())

    def _later(self, line: Door, payload: bytes) -> None:
        delay_ns = self._random.randint(MS, 4_000 * MS)
        self._world.time.call_at(self._world.time.now_ns() + delay_ns, lambda: line.put(payload))
