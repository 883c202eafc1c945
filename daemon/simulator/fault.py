"""What can go wrong at the simulated exchange, as a person writes it down: TOML, JSON, or JSON a line.

    [[fault]]
    at_s = 5
    kind = "drop"
    method = "executionReport"
    count = 1

A fault that is misspelt, lacks what its kind needs or has what its kind does not read is refused by a
sentence.
"""

from __future__ import annotations

import math
import re
import tomllib
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from daemon.errors import UsageError
from daemon.explain import explain
from daemon.instruments import Market  # noqa: TC001 - msgspec reads the annotation

Kind = Literal[
    "stall", "disconnect", "storm", "refuse_connect", "server_shutdown", "maintenance", "crash",
    "drop", "duplicate", "reorder", "delay", "depth_gap", "crossed_book",
    "lose_request", "lose_answer", "http_5xx", "-1006", "-1007", "rate_429", "ban_418",
    "query_lag", "partial_fill", "cancel_replace_half", "break", "clock_step",
]  # fmt: skip
#: of messages: user data events, market frames, answers; of connections: market streams, the WebSocket API,
#: user data streams by listen key; of requests: over REST, over the WebSocket API
Of = Literal["", "events", "market", "answers", "api", "user", "rest"]
Seconds = Annotated[float, Meta(ge=0)]
Number = Annotated[int, Meta(ge=0)]

#: what is done to messages; without `of` to user data events
MESSAGES: Final = ("drop", "duplicate", "reorder", "delay")
_MESSAGES: Final = ("events", "market", "answers")
_CONNECTIONS: Final = ("market", "api", "user")
_REQUESTS: Final = ("rest", "api")
_SOME: Final = "count lasts_s skip share"
#: kind -> the keys it reads beside at_s and market
_READS: Final[dict[str, str]] = {
    "stall": "of share lasts_s",
    "disconnect": "of share code",
    "storm": "of share code lasts_s delay_s",
    "refuse_connect": f"of code {_SOME}",
    "server_shutdown": "of delay_s",
    "maintenance": "lasts_s",
    "crash": "",
    "drop": f"of method symbol {_SOME}",
    "duplicate": f"of method symbol {_SOME}",
    "reorder": f"of method symbol delay_s {_SOME}",
    "delay": f"of method symbol delay_s {_SOME}",
    "depth_gap": f"symbol {_SOME}",
    "crossed_book": f"method symbol {_SOME}",
    "lose_request": f"of method symbol {_SOME}",
    "lose_answer": f"of method symbol {_SOME}",
    "http_5xx": f"of method symbol code executed {_SOME}",
    "-1006": f"of method symbol executed {_SOME}",
    "-1007": f"of method symbol executed {_SOME}",
    "rate_429": f"of method symbol delay_s {_SOME}",
    "ban_418": "lasts_s",
    "query_lag": "symbol delay_s lasts_s",
    "partial_fill": f"symbol pieces {_SOME}",
    "cancel_replace_half": f"symbol {_SOME}",
    "break": "symbol lasts_s",
    "clock_step": "delay_s lasts_s",
}
_JSON: Final = re.compile(r"\s*(\{|\[\s*[{\]])")
_NEEDS_DELAY: Final = ("delay", "clock_step")


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One fault. Empty filters match everything; what strikes is counted on both sides of them."""

    kind: Kind
    at_s: Seconds = 0.0  # from the exchange's start; what is past begins at once
    lasts_s: Seconds = 0.0  # 0: until it has struck `count` times
    count: Number = 0  # how many it strikes; 0: as many as come while it lasts
    skip: Number = 0  # how many it lets pass before
    share: Annotated[float, Meta(gt=0, le=1)] = 1.0  # of those that could be struck, drawn by the seed
    market: Market | Literal[""] = ""
    symbol: str = ""  # the exchange's own: BTCUSDT
    method: str = ""  # a request's (order.place), an event's type, a stream's kind (depth@100ms)
    of: Of = ""
    delay_s: float = 0.0
    code: Number = 0  # an HTTP status, or how a websocket is closed; 0 is the kind's own
    executed: bool = True  # whether the request was, whatever is answered
    pieces: Annotated[int, Meta(ge=2)] = 3


def parse(text: str, source: str) -> list[Fault]:
    """Return the faults of a file's text; raises UsageError naming source and entry."""
    if _JSON.match(text):
        return _read_json(text, source)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{source} is not valid TOML: {error}") from None
    entries = tree.pop("fault", [])
    if tree or not isinstance(entries, list):
        raise UsageError(f"{source}: faults are written as [[fault]] tables, and nothing else is")
    return [read_one(entry, f"{source}: fault {number}") for number, entry in enumerate(entries, 1)]


def _read_json(text: str, source: str) -> list[Fault]:
    """Read one object or a list of them, or an object a line."""
    try:
        whole = msgspec.json.decode(text)
        entries = whole if isinstance(whole, list) else [whole]
    except msgspec.DecodeError:
        entries = [_decoded(line, source, n) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    return [read_one(entry, f"{source}: fault {number}") for number, entry in enumerate(entries, 1)]


def _decoded(line: str, source: str, number: int) -> Any:
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        raise UsageError(f"{source}: line {number} is not valid JSON: {error}") from None


def read_one(entry: Any, source: str) -> Fault:
    """Return a fault from TOML's or JSON's own types; raises UsageError, its sentence begun by `source`."""
    try:
        fault = msgspec.convert(entry, Fault)
    except msgspec.ValidationError as error:
        raise UsageError(f"{source}: {explain(str(error), Fault, 'it')}") from None
    wrong = _wrong_with(fault, _READS[fault.kind].split())
    if wrong:
        raise UsageError(f"{source} ({fault.kind}): {wrong}")
    if not fault.of and fault.kind in MESSAGES:
        return msgspec.structs.replace(fault, of="events")
    if not fault.method and fault.kind == "crossed_book":
        return msgspec.structs.replace(fault, method="depth")
    return fault


def _wrong_with(fault: Fault, reads: list[str]) -> str:
    """Return what the types cannot say, or nothing."""
    reads = ["kind", "at_s", "market", *reads]
    for name, given in msgspec.structs.asdict(fault).items():
        if isinstance(given, float) and not math.isfinite(given):
            return f"{name} must be a finite number"
        if name not in reads and given != _DEFAULTS[name]:
            return f"it has no {name}; it reads {', '.join(reads[1:])}"
    if fault.kind == "http_5xx" and fault.code and not 500 <= fault.code <= 599:
        return f"code must be a status of 500 to 599, not {fault.code}"
    if fault.kind in _NEEDS_DELAY and not fault.delay_s:
        return "it needs delay_s"
    if fault.delay_s < 0 and fault.kind != "clock_step":
        return "delay_s must not be negative"
    if fault.kind == "crossed_book" and fault.method not in ("", "depth", "bookTicker"):
        return f"method is {fault.method!r}, and can be depth or bookTicker"
    if "count" in reads and not (fault.count or fault.lasts_s):
        return "it needs count, lasts_s or both"
    if "lasts_s" in reads and "count" not in reads and not fault.lasts_s:
        return "it needs lasts_s"
    allowed = _MESSAGES if fault.kind in MESSAGES else _REQUESTS if "method" in reads else _CONNECTIONS
    if fault.of and fault.of not in allowed:
        return f"of is {fault.of!r}, and can be {' or '.join(allowed)}"
    return ""


_DEFAULTS: Final = msgspec.structs.asdict(Fault(kind="crash"))
