"""The journal's records: what they hold, and how each becomes bytes and is read again.

A file is a header and frames; a frame is the length (u32) of its body, the CRC32 (u32) of the body seeded
with that length, and the body, whose first byte is the record's type. What is written before an order
leaves is packed by struct; the rest is msgpack. Numbers are little-endian.
"""

from __future__ import annotations

import tomllib
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class
from typing import Final
from zlib import crc32

import msgspec

from daemon.events import Command, ExecutionReport, Funding
from daemon.orders.order import Order  # noqa: TC001 - msgspec reads the types
from daemon.orders.valuation import Baseline  # noqa: TC001 - likewise
from kernels.dtypes import X_REFUSAL

MAGIC: Final = b"tickdjnl"
VERSION: Final = 1
HEADER: Final = Struct("<8sHHI")  # magic, version, whether synced (0: sync = "os"), CRC32 of what precedes
FRAME: Final = Struct("<II")
#: no record is larger: a longer length is a damaged one
BODY_BYTES_MAX: Final = 64 << 20

RUN: Final = 1
PLACE: Final = 2
CANCEL: Final = 3
AMEND: Final = 4
REFUSE: Final = 5
REPORT: Final = 6
COMMAND: Final = 7
LATCH: Final = 8
ADOPT: Final = 9
VOIDED: Final = 10
BALANCES: Final = 11
BASELINE: Final = 12
CHECKPOINT: Final = 13
FUNDING: Final = 14
#: everything before the offset it names was durable when it was written
MARK: Final = 16
MET: Final = 17
FEE_VALUED: Final = 18
FUNDING_NAMED: Final = 19
DIGEST: Final = 20
ENDED: Final = 21

NAMES: Final[dict[int, str]] = {
    RUN: "run",
    PLACE: "place",
    CANCEL: "cancel",
    AMEND: "amend",
    REFUSE: "refuse",
    REPORT: "report",
    COMMAND: "command",
    LATCH: "latch",
    ADOPT: "adopt",
    VOIDED: "voided",
    BALANCES: "balances",
    BASELINE: "baseline",
    CHECKPOINT: "checkpoint",
    FUNDING: "funding",
    MARK: "mark",
    MET: "met",
    FEE_VALUED: "fee_valued",
    FUNDING_NAMED: "funding_named",
    DIGEST: "digest",
    ENDED: "ended",
}

#: type, now_ns, seq or refusal, strategy, instrument, and the X_* to X_REFUSAL, in whose place a PLACE has
#: X_DECIDED_HALF_TICKS (0 where an older version wrote it)
_ACTION: Final = Struct(f"<BqIHH{X_REFUSAL + 1}q")
_ASK: Final = Struct("<Bqq")  # type, now_ns, quantity asked for; then the client order id
_MARK: Final = Struct("<BQ")
pack_action = _ACTION.pack


class Run(msgspec.Struct, frozen=True, array_like=True):
    """A run began: what the numbers of its records mean."""

    now_ns: int
    prefix: str
    run: int
    program: str  # version of the program that wrote it
    strategies: list[tuple[str, list[str]]]  # name and symbols, by index
    instruments: list[str]  # symbol, by index
    config: str  # as it ran, secrets masked
    steps: list[tuple[str, str]] = []  # tick and lot size, by instrument; older versions wrote none
    boot: str = ""  # the start of the machine that it ran in (daemon/seams.py), "" where that is not known
    #: how long after that start each order of runs before is listed at the venue; 0: it did not wait for any
    listed_age_ns: int = 0
    tells_end: bool = False  # whether it records its end, if nobody kills it: older versions did not

    @property
    def sync(self) -> str:
        """The journal's policy, "" where its configuration does not tell."""
        told = tomllib.loads(self.config).get("journal", {}).get("sync", "")
        return str(told)


class Placed(msgspec.Struct, frozen=True):
    """An order about to be sent, with the feature row it was decided on."""

    now_ns: int
    seq: int
    strategy: int
    instrument: int
    action: tuple[int, ...]  # X_* before X_REFUSAL, then what `decided_half_ticks` tells
    row: bytes  # float64

    @property
    def decided_half_ticks(self) -> int:
        """Return the mid that was decided on, of a STOP its trigger; 0: an older version wrote it."""
        return self.action[X_REFUSAL]


class RefusedAction(msgspec.Struct, frozen=True):
    """An action that was refused, with the feature row."""

    now_ns: int
    code: int
    strategy: int
    instrument: int
    action: tuple[int, ...]
    row: bytes


class Asked(msgspec.Struct, frozen=True):
    """A cancel (`qty_lots` 0) or an amend about to be sent."""

    now_ns: int
    client_order_id: str
    qty_lots: int


class CommandTaken(msgspec.Struct, frozen=True, array_like=True):
    """A command, when it was taken."""

    now_ns: int
    command: Command


class Latch(msgspec.Struct, frozen=True, array_like=True):
    """The kill switch as it now stands; `flatten`: a person wants everything closed, by the next run too."""

    now_ns: int
    halted: bool
    source: str
    reason: str
    flatten: bool = False


class Adopted(msgspec.Struct, frozen=True, array_like=True):
    """An order found at the venue of which the journal knew nothing."""

    now_ns: int
    order: Order


class Voided(msgspec.Struct, frozen=True, array_like=True):
    """An order the absence rule ended."""

    now_ns: int
    client_order_id: str


class Balances(msgspec.Struct, frozen=True, array_like=True):
    """The venue's balances as they were taken over, in units as text."""

    now_ns: int
    total: dict[str, str]


class BaselineMoved(msgspec.Struct, frozen=True, array_like=True):
    """From where the day's result and the drawdown are measured."""

    now_ns: int
    baseline: Baseline


class SavedHolding(msgspec.Struct, frozen=True, array_like=True):
    """A position, in units as text."""

    strategy: int
    row: int
    qty: str
    cost: str
    realised: str
    fees: str


class Owed(msgspec.Struct, frozen=True, array_like=True):
    """An order the venue counts more trades of than we saw; it takes `event` once they are known."""

    client_order_id: str
    event: int  # an Event, or -1: it is still open
    cum_lots: int


class Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """The whole state, so that nothing before it need be read."""

    now_ns: int
    latch: Latch | None
    orders: list[Order]  # open ones, then the latest ended ones
    owed: list[Owed]
    holdings: list[SavedHolding]
    total: dict[str, str]
    fees: dict[str, str]
    trades: list[tuple[int, list[int]]]  # by instrument, as TradeIds keeps them: forgotten up to, remembered
    baseline: Baseline
    last_trade_ns: int
    unvalued: list[tuple[int, int, str, str]] = []  # fees without a value yet: strategy, row, asset, units
    funded_ns: int = 0  # the rest as daemon/orders/funding.py keeps it
    funding: list[Funding] = []
    funding_ids: dict[int, int] = {}
    #: likewise, of trades known by a hash: when the latest forgotten one was, and when those remembered were
    trade_times: list[tuple[int, list[int]]] = []


class Met(msgspec.Struct, frozen=True, array_like=True):
    """What a meeting with the venue found to differ, in sentences."""

    now_ns: int
    settled: list[str]  # by taking the venue's word
    fatal: list[str]  # not settled: the kill switch was thrown


class FeeValued(msgspec.Struct, frozen=True, array_like=True):
    """What fees in an asset that is neither base nor quote come to in the quote, in units as text."""

    now_ns: int
    strategy: int
    row: int
    asset: str
    paid: str
    value: str


class FundingNamed(msgspec.Struct, frozen=True, array_like=True):
    """Of what instruments funding was that the stream had told of without one, by the venue's list."""

    now_ns: int
    parts: list[Funding]


class Digest(msgspec.Struct, frozen=True, array_like=True):
    """What a session that is recorded proves of all since its last digest; written each second."""

    now_ns: int
    #: of those that decided since: index, decisions of this run, digest over all rows and decisions of it
    strategies: list[tuple[int, int, int]]
    steps: int  # that orders took, of this run
    steps_crc: int  # over all of them


class Ended(msgspec.Struct, frozen=True, array_like=True):
    """A run ended by itself, for whatever reason: nobody killed it. Nothing of it follows but a sync mark."""

    now_ns: int


class Marked(msgspec.Struct, frozen=True):
    """Everything before `offset` was durable."""

    offset: int


Record = (
    Run
    | Placed
    | RefusedAction
    | Asked
    | ExecutionReport
    | Funding
    | CommandTaken
    | Latch
    | Adopted
    | Voided
    | Balances
    | BaselineMoved
    | Checkpoint
    | Marked
    | Met
    | FeeValued
    | FundingNamed
    | Digest
    | Ended
)

_encode = msgspec.msgpack.Encoder().encode
_TYPES: Final[dict[type, int]] = {
    Run: RUN,
    ExecutionReport: REPORT,
    Funding: FUNDING,
    CommandTaken: COMMAND,
    Latch: LATCH,
    Adopted: ADOPT,
    Voided: VOIDED,
    Balances: BALANCES,
    BaselineMoved: BASELINE,
    Checkpoint: CHECKPOINT,
    Met: MET,
    FeeValued: FEE_VALUED,
    FundingNamed: FUNDING_NAMED,
    Digest: DIGEST,
    Ended: ENDED,
}
_HEADS: Final = {kind: bytes([number]) for kind, number in _TYPES.items()}
_DECODERS: Final[dict[int, msgspec.msgpack.Decoder[Record]]] = {
    number: msgspec.msgpack.Decoder(kind) for kind, number in _TYPES.items()
}


def pack(record: msgspec.Struct) -> bytes:
    """Return the body of a record that travels as msgpack."""
    return _HEADS[type(record)] + _encode(record)


def pack_ask(verb: int, now_ns: int, client_order_id: str, qty_lots: int) -> bytes:
    """Return the body of a CANCEL or AMEND record."""
    return _ASK.pack(verb, now_ns, qty_lots) + client_order_id.encode()


def pack_mark(offset: int) -> bytes:
    """Return the body of a MARK record."""
    return _MARK.pack(MARK, offset)


def frame(body: bytes) -> bytes:
    """Return the body with its length and checksum before it."""
    size = len(body)
    return FRAME.pack(size, crc32(body, size)) + body


def header(*, synced: bool) -> bytes:
    """Return a file's first bytes."""
    head = HEADER.pack(MAGIC, VERSION, synced, 0)[:-4]
    return head + crc32(head).to_bytes(4, "little")


def unpack(body: bytes) -> Record:
    """Return a body's record; raises ValueError (msgspec's DecodeError is one)."""
    try:
        return _unpack(body)
    except (StructError, IndexError) as error:  # too short, or nothing at all
        raise ValueError(str(error)) from error


def _unpack(body: bytes) -> Record:
    kind = body[0]
    if kind in _DECODERS:
        return _DECODERS[kind].decode(body[1:])
    if kind in {PLACE, REFUSE}:
        _, now_ns, number, strategy, instrument, *action = _ACTION.unpack_from(body)
        made = Placed if kind == PLACE else RefusedAction
        return made(now_ns, number, strategy, instrument, tuple(action), body[_ACTION.size :])
    if kind in {CANCEL, AMEND}:
        _, now_ns, qty_lots = _ASK.unpack_from(body)
        return Asked(now_ns, body[_ASK.size :].decode(), qty_lots)
    if kind == MARK:
        return Marked(_MARK.unpack(body)[1])
    raise ValueError(f"type {kind} is not known")
