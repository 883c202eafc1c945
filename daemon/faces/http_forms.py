"""What goes over HTTP, as types: the bodies of commands and of answers, and which answers each route has."""

from __future__ import annotations

from typing import Annotated, Final, Literal, NamedTuple, get_args

import msgspec
from msgspec import Meta

from daemon.events import Verb  # noqa: TC001 - msgspec reads the annotations at run time
from daemon.status import DaemonState, Status

COMMANDS: Final[tuple[Verb, ...]] = ("halt", "resume", "flatten")
#: those that make safe: they add no risk, and are never refused for coming too often
SAFE: Final[frozenset[Verb]] = frozenset({"halt", "flatten"})
#: what a refused request is counted as
Kind = Literal[
    "origin", "host", "path", "method", "size", "form", "rate", "token", "replayed", "state", "failed"
]
KINDS: Final[tuple[str, ...]] = get_args(Kind)
BODY_BYTES_MAX: Final = 4096
REASON_CHARS_MAX: Final = 200
ID_CHARS_MAX: Final = 64
#: without what ends a line, moves a cursor, or is not seen
_ONE_LINE: Final = (
    r"^[^\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]*$"
    r"(?!\n)"
)


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a command; it may be empty."""

    reason: Annotated[
        str, Meta(max_length=REASON_CHARS_MAX, pattern=_ONE_LINE, description="one line, for the record")
    ] = ""
    id: Annotated[
        str,
        Meta(
            pattern=rf"^[A-Za-z0-9_.-]{{0,{ID_CHARS_MAX}}}$(?!\n)",
            description="a command with an id that was taken before is refused, so it may be sent again",
        ),
    ] = ""


class ResumeOrder(Order, forbid_unknown_fields=True):
    """The body of a resume."""

    rebase: Annotated[bool, Meta(description="measure losses anew")] = False


class Accepted(msgspec.Struct):
    """A command was taken, and is on disk."""

    accepted: Verb
    state: DaemonState


class Readiness(msgspec.Struct):
    """Whether it trades, and why not."""

    state: DaemonState
    reason: str


class Refusal(msgspec.Struct):
    """Why a request was refused, in one sentence."""

    error: str


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """One command that was asked for, for the journal and the log."""

    verb: str
    reason: str
    via: str  # "socket" or "port"
    accepted: bool
    rebase: bool = False
    often: bool = False  # it came too often: where it stood already, nothing was done
    refusal: str = ""

    @property
    def event(self) -> str:
        """The name of its line: a flood of one kind is cut by name, and takes no other's lines along."""
        if not self.accepted:
            return "command_refused"
        return "command_repeated" if self.often else "command"


class Route(NamedTuple):
    """One request and its answers: by status the type of a JSON body, or the media type of another."""

    method: str
    path: str
    summary: str
    answers: dict[int, type | str]
    body: type[Order] = Order  # of a command


TEXT: Final = "text/plain"
#: of every request: a web page or a foreign host asks; too often over the port
_ALWAYS: Final[dict[int, type | str]] = {403: Refusal, 429: Refusal}
#: of every command: what is wrong with it; 503: it was done, and a restart may not know of it
_COMMANDED: Final[dict[int, type | str]] = {
    202: Accepted,
    400: Refusal,
    401: Refusal,
    409: Refusal,
    413: Refusal,
    503: Refusal,
    **_ALWAYS,
}
ROUTES: Final = (
    Route("GET", "/healthz", "200 while the loop turns", {200: TEXT, **_ALWAYS}),
    Route(
        "GET", "/readyz", "200 while READY and any feed speaks", {200: Readiness, 503: Readiness, **_ALWAYS}
    ),
    Route("GET", "/metrics", "Prometheus's text format, or OpenMetrics", {200: TEXT, **_ALWAYS}),
    Route("GET", "/state", "All that the daemon tells about itself", {200: Status, **_ALWAYS}),
    Route("GET", "/frames", "The newest frames of ticks as they came, a line each", {200: TEXT, **_ALWAYS}),
    Route("GET", "/openapi.json", "This document", {200: "application/json", **_ALWAYS}),
    Route("POST", "/halt", "Cancel what stands but stops, and add no risk until a resume", _COMMANDED),
    Route(
        "POST", "/resume", "Trade again; refused while a loss is beyond its limit", _COMMANDED, ResumeOrder
    ),
    Route("POST", "/flatten", "Halt, and close every position", _COMMANDED),
)
