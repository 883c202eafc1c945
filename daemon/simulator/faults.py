"""The faults of the simulated exchange: what goes wrong when, asked wherever something could go wrong.

    faults = Faults(gateways, clock, scheduler, seed=1, crash=kill_self)
    faults.add([Fault(kind="lose_answer", method="order.place", count=1)])

Sans-IO and deterministic: time, timers and the seed are given. Gateways know nothing of it until the first
fault is added; until then each question costs the look at a None. Faults strike in the order in which they
began, and whatever could strike a message or a request but does not match it, is skipped or drawn against
leaves it to the next.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from daemon.errors import UsageError, nearest
from daemon.simulator.errors import (
    TIMEOUT,
    TOO_MANY_REQUESTS,
    UNEXPECTED_RESPONSE,
    UNKNOWN,
    ApiError,
    rejected,
)
from daemon.simulator.fault import MESSAGES
from daemon.simulator.outages import Outages
from daemon.simulator.rates import retry_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from daemon.seams import Clock, Scheduler, Timer
    from daemon.simulator.fault import Fault
    from daemon.simulator.gateway import Gateway
    from daemon.simulator.marketdata import MarketData
    from daemon.simulator.symbols import Symbol

#: a reordered message waits for the next one at most so long
REORDER_S: Final = 1.0
#: the types of user data events
EVENTS: Final = (
    "executionReport",
    "outboundAccountPosition",
    "balanceUpdate",
    "ORDER_TRADE_UPDATE",
    "ACCOUNT_UPDATE",
    "ALGO_UPDATE",
    "ACCOUNT_CONFIG_UPDATE",
    "listenKeyExpired",
)
_GO_ON: Final = 101
_MOMENTS: Final = ("disconnect", "server_shutdown", "crash")
#: the kinds that decide what becomes of a request
_FATES: Final = (
    "lose_request",
    "maintenance",
    "ban_418",
    "rate_429",
    "http_5xx",
    "-1006",
    "-1007",
    "lose_answer",
)

_STREAMS_TEXT: Final = "Please use WebSocket Streams for live updates to avoid bans."
_TOO_MANY_TEXT: Final = "Too many requests queued."
_UNKNOWN_TEXT: Final = "An unknown error occurred while processing the request."
#: kinds whose request may or may not have been executed -> message and HTTP status
_UNCERTAIN: Final[dict[str, tuple[str, int]]] = {
    "http_5xx": (_UNKNOWN_TEXT, 503),
    str(UNEXPECTED_RESPONSE): (
        "An unexpected response was received from the message bus. Execution status unknown.",
        500,
    ),
    str(TIMEOUT): (
        "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        504,
    ),
}


class Fate(NamedTuple):
    """What becomes of a request: whether it is executed and answered, and what with if not its own answer."""

    executed: bool = True
    answered: bool = True
    error: ApiError | None = None
    delay_s: float = 0.0  # of the answer, over REST


SOUND: Final = Fate()


class Entry:
    """A fault of the schedule, and how far it has come."""

    __slots__ = ("fault", "left", "skip", "state", "struck", "timer", "undo", "until_ns")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.left = fault.count
        self.skip = fault.skip
        self.struck = 0
        self.state = "waiting"
        self.until_ns = 0  # when it ends, 0 where that is not known
        self.timer: Timer | None = None  # of its begin, then of its end
        self.undo: list[Callable[[], None]] = []

    def matches(self, market: str, symbol: str, method: str, of: str) -> bool:
        """Whether its filters let it strike this."""
        fault = self.fault
        return (
            fault.market in ("", market)
            and fault.symbol in ("", symbol)
            and fault.method in ("", method)
            and fault.of in ("", of)
        )


class Faults:
    """The schedule, and what of it is in force."""

    def __init__(
        self,
        gateways: Mapping[str, Gateway],
        clock: Clock,
        scheduler: Scheduler,
        seed: int,
        crash: Callable[[], None],
    ) -> None:
        self._gateways = gateways
        self._clock = clock
        self._scheduler = scheduler
        self._random = Random(seed)  # noqa: S311 - the same faults for the same seed
        self._crash = crash
        self._outages = Outages(gateways, clock, scheduler, self._random)
        self._start_ns = clock.now_ns()
        self._entries: list[Entry] = []
        self._live: list[Entry] = []
        self._held: dict[tuple[str, str], list[Callable[[], None]]] = {}  # reordered: (of, market)
        self._struck: Counter[str] = Counter()  # of entries that were removed

    # --- the schedule ---
    def add(self, faults: Iterable[Fault]) -> None:
        """Put faults on the schedule; raises UsageError for one that could never strike."""
        found = list(faults)
        for fault in found:
            self._check(fault)
        if found:
            self._arm()
        for fault in found:
            entry = Entry(fault)
            self._entries.append(entry)
            when_ns = self._start_ns + round(fault.at_s * 1e9)
            if when_ns <= self._clock.now_ns():
                self._begin(entry)
            else:
                entry.timer = self._scheduler.call_at(when_ns, partial(self._begin, entry))

    def _check(self, fault: Fault) -> None:
        gateways = [one for name, one in self._gateways.items() if fault.market in ("", name)]
        if not gateways:
            raise UsageError(
                f"the fault {fault.kind} names the market {fault.market}, and there is only "
                f"{' and '.join(self._gateways)}"
            )
        symbols = [name for gateway in gateways for name in gateway.exchange.markets]
        if fault.symbol and fault.symbol not in symbols:
            near = nearest(fault.symbol, symbols)
            raise UsageError(f"the fault {fault.kind} names {fault.symbol}, which is not listed{near}")
        if fault.of == "market" or fault.kind == "crossed_book":
            return  # streams have more names than there are
        known = EVENTS if fault.of == "events" else sorted(set().union(*(one.names() for one in gateways)))
        if fault.method and fault.method not in known:
            near = nearest(fault.method, known)
            raise UsageError(f"the fault {fault.kind} names {fault.method}, which there is not{near}")

    def _arm(self) -> None:
        """Let the gateways ask from now on."""
        for name, gateway in self._gateways.items():
            gateway.faults = gateway.exchange.faults = self
            gateway.hub.meddle = partial(self.frame, name)

    def clear(self) -> None:
        """Take every fault off the schedule, ending those in force; what they struck stays counted."""
        for entry in self._entries:
            if entry.state != "over":
                self._end(entry)
            self._struck[entry.fault.kind] += entry.struck
        self._entries.clear()

    def report(self) -> dict[str, Any]:
        """Return the seconds since the start, what struck by kind, and the schedule."""
        struck = self._struck.copy()
        for entry in self._entries:
            struck[entry.fault.kind] += entry.struck
        return {
            "now_s": round((self._clock.now_ns() - self._start_ns) / 1e9, 3),
            "struck": {kind: count for kind, count in sorted(struck.items()) if count},
            "faults": [
                msgspec.to_builtins(entry.fault) | {"state": entry.state, "struck": entry.struck}
                for entry in self._entries
            ],
        }

    def _begin(self, entry: Entry) -> None:
        fault = entry.fault
        entry.timer = None
        if fault.kind == "crash":
            entry.struck, entry.state = 1, "over"
            self._crash()
            return
        entry.state = "live"
        self._live.append(entry)
        if fault.lasts_s:
            entry.until_ns = self._clock.now_ns() + round(fault.lasts_s * 1e9)
            entry.timer = self._scheduler.call_at(entry.until_ns, partial(self._end, entry))
        self._outages.begin(entry)
        if fault.kind in ("break", "clock_step"):
            entry.struck = 1
        if fault.kind in _MOMENTS:
            self._end(entry)
        else:
            self._outages.settle(self._live)

    def _end(self, entry: Entry) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
        entry.state = "over"
        for undo in entry.undo:
            undo()
        if entry in self._live:
            self._live.remove(entry)
            self._outages.settle(self._live)

    def _strike(
        self, kinds: tuple[str, ...], market: str, symbol: str = "", method: str = "", of: str = ""
    ) -> Entry | None:
        """Return the first fault in force of these kinds that strikes, having counted it."""
        for entry in self._live:
            fault = entry.fault
            if fault.kind not in kinds or not entry.matches(market, symbol, method, of):
                continue
            if entry.skip:
                entry.skip -= 1
                continue
            if fault.share < 1 and self._random.random() >= fault.share:
                continue
            entry.struck += 1
            if fault.count:
                entry.left -= 1
                if not entry.left:
                    self._end(entry)
            return entry
        return None

    # --- requests and connections ---
    def request(self, door: str, market: str, method: str, symbol: str) -> Fate:
        """Return what becomes of a request that came by a door, rest or api."""
        entry = self._strike(_FATES, market, symbol, method, door)
        if entry is None:
            late = self._strike(("delay",), market, symbol, method, "answers") if door == "rest" else None
            return SOUND if late is None else Fate(delay_s=late.fault.delay_s)
        fault = entry.fault
        if fault.kind in ("lose_request", "lose_answer"):
            return Fate(executed=fault.kind == "lose_answer", answered=False)
        return Fate(fault.executed and fault.kind in _UNCERTAIN, error=self._error(entry, market))

    def _error(self, entry: Entry, market: str) -> ApiError:
        fault = entry.fault
        if fault.kind == "http_5xx":
            return ApiError(UNKNOWN, _UNKNOWN_TEXT, fault.code or 503)
        if fault.kind in _UNCERTAIN:
            return ApiError(int(fault.kind), *_UNCERTAIN[fault.kind])
        if fault.kind == "maintenance":
            return ApiError(-1016, "This service is no longer available.", 503)
        now_ns = self._gateways[market].exchange.clock.now_ns()
        left_ns = max(0, entry.until_ns - self._clock.now_ns())
        if fault.kind == "rate_429":
            until_ns = now_ns + (round(fault.delay_s * 1e9) or left_ns or 1_000_000_000)
            return ApiError(TOO_MANY_REQUESTS, _TOO_MANY_TEXT, 429, retry_data(now_ns, until_ns))
        until_ns = now_ns + left_ns
        text = f"Way too much request weight used; IP banned until {until_ns // 1_000_000}. {_STREAMS_TEXT}"
        return ApiError(TOO_MANY_REQUESTS, text, 418, retry_data(now_ns, until_ns))

    def connect(self, market: str, of: str) -> int:
        """Return the status that answers a websocket's upgrade: 101 goes on, 0 is no answer."""
        entry = self._strike(("refuse_connect", "maintenance", "ban_418"), market, of=of)
        if entry is None:
            return _GO_ON
        return {"maintenance": 503, "ban_418": 418}.get(entry.fault.kind, entry.fault.code)

    # --- messages ---
    def answer(self, market: str, method: str, symbol: str, send: Callable[[], None]) -> None:
        """Send an answer of the WebSocket API, or do to it what a fault says."""
        self._pass_on("answers", market, method, symbol, send)

    def event(self, market: str, event: dict[str, Any], send: Callable[[], None]) -> None:
        """Send a user data event likewise."""
        symbol = event.get("s") or event.get("o", {}).get("s", "")
        self._pass_on("events", market, event["e"], symbol, send)

    def frame(self, market: str, stream: str, data: bytes, send: Callable[[str, bytes], None]) -> None:
        """Send a market stream's payload likewise."""
        name, _, method = stream.partition("@")
        symbol, kind = name.upper(), method.partition("@")[0]
        if kind == "depth" and self._strike(("depth_gap",), market, symbol):
            return
        listed = self._gateways[market].exchange.markets.get(symbol)
        if listed is not None and self._strike(("crossed_book",), market, symbol, kind):
            data = _crossed(listed, data)
        self._pass_on("market", market, method, symbol, partial(send, stream, data))

    def _pass_on(self, of: str, market: str, method: str, symbol: str, send: Callable[[], None]) -> None:
        entry = self._strike(MESSAGES, market, symbol, method, of)
        if entry is None:
            send()
            self._release(of, market)
            return
        fault = entry.fault
        now_ns = self._clock.now_ns()
        if fault.kind == "duplicate":
            send()
            send()
            self._release(of, market)
        elif fault.kind == "delay":
            self._scheduler.call_at(now_ns + round(fault.delay_s * 1e9), send)
        elif fault.kind == "reorder":
            held = self._held.setdefault((of, market), [])
            held.append(send)
            wait_ns = round((fault.delay_s or REORDER_S) * 1e9)
            self._scheduler.call_at(now_ns + wait_ns, partial(_let_go, held, send))

    def _release(self, of: str, market: str) -> None:
        """Send what was held back until this one had passed."""
        held = self._held.get((of, market))
        while held:
            held.pop(0)()

    # --- the exchange ---
    def hides(self, symbol: Symbol, since_ns: int) -> bool:
        """Whether queries do not know yet of what happened to a symbol's orders then."""
        now_ns = self._gateways[symbol.market].exchange.clock.now_ns()
        for entry in self._live:
            fault = entry.fault
            if (
                fault.kind == "query_lag"
                and entry.matches(symbol.market, symbol.name, "", "")
                and (not fault.delay_s or now_ns - since_ns < fault.delay_s * 1e9)
            ):
                entry.struck += 1
                return True
        return False

    def pieces(self, symbol: Symbol, lots: int) -> list[int]:
        """Return the lots in which a fill comes."""
        if lots < 2:
            return [lots]
        entry = self._strike(("partial_fill",), symbol.market, symbol.name)
        if entry is None:
            return [lots]
        cuts = sorted(self._random.sample(range(1, lots), min(entry.fault.pieces, lots) - 1))
        return [end - begin for begin, end in zip([0, *cuts], [*cuts, lots], strict=True)]

    def check_replacement(self, symbol: Symbol) -> None:
        """Raise ApiError where the new order of a cancelReplace is to fail."""
        if self._strike(("cancel_replace_half",), symbol.market, symbol.name):
            raise rejected("Account has insufficient balance for requested action.")


def _crossed(market: MarketData, data: bytes) -> bytes:
    """Return a depth frame with a bid above the best ask, or a quote with its sides exchanged."""
    message = msgspec.json.decode(data)
    if isinstance(message["b"], str):
        message |= {"b": message["a"], "B": message["A"], "a": message["b"], "A": message["B"]}
    else:
        _, _, ask, ask_qty = market.touch()
        symbol = market.symbol
        level = [symbol.price_text(ask + 10 * symbol.tick), symbol.qty_text(ask_qty or symbol.lot)]
        message["b"] = [*message["b"], level]
    return msgspec.json.encode(message)


def _let_go(held: list[Callable[[], None]], send: Callable[[], None]) -> None:
    """Send what was held back, if nothing came that let it go."""
    if send in held:
        held.remove(send)
        send()
