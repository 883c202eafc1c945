"""The rules of the configured symbols as their exchange told them last, kept for a start that cannot ask.

One file of each exchange, market and address beside the journal, replaced as a whole by each answer, and
asked for again while the daemon runs, so that one that ran for a week can start without the exchange too.

Nothing depends on it: what is odd about the file, or old, ends only a start that would have ended anyway. A
start that goes by it does so in live trading too: a symbol that was closed stays closed until the exchange
says otherwise, it is asked again until it answers, and an order that breaks a newer rule is the venue's to
refuse. What it refuses itself, by an answer of 4xx but 408, bans among them, nothing kept stands in for.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from daemon import whole_file
from daemon.errors import DECODE_ERRORS, FileFormatError, NetError, TickdError
from daemon.feeds.exchanges import ask_instruments, find_exchange
from daemon.instruments import Instrument, scale_of, scale_text
from daemon.orders.records import frame
from daemon.pause import Backoff, pause
from daemon.wire import failed_there

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.config import Config
    from daemon.seams import Seams

_MAGIC: Final = b"tickdrul"
_VERSION: Final = 1
_HOUR_NS: Final = 3_600_000_000_000
#: how often the exchange is asked within the time that its answer is good for, and not more often than that
_ASKS: Final = 4
_APART_S: Final = 60.0
#: where a start went by the file: the distance of the first two questions, which doubles up to the above
_FIRST_S: Final = 5.0


class Kept(msgspec.Struct, frozen=True):
    """What a file holds."""

    told_ns: int
    source: str  # which exchange, market and address
    instruments: list[Instrument]


class RulesCache:
    """The file of one feed's rules; `tell` takes sentences for a person."""

    def __init__(self, config: Config, seams: Seams, tell: Callable[[str], None]) -> None:
        feed = config.feed
        self._feed = feed
        self._seams = seams
        self._tell = tell
        self._told = ""  # last
        self._ttl_ns = int(feed.rules_ttl_h * _HOUR_NS)
        self._who = f"{feed.exchange} {feed.market}"
        self._source = _source(feed.exchange, feed.market, feed.rest_url)
        self.path = Path(config.journal.path) / f"rules-{self._source}.cache"
        #: whether this start went by the file, and nobody has said since that it is right
        self.unconfirmed = False

    # --- a start ------------------------------------------------------------------------------------------
    async def keep(self, instruments: Sequence[Instrument]) -> None:
        """Write what the exchange has just told; a disk that cannot is told of."""
        if not self._ttl_ns:
            return
        data = encode(Kept(self._seams.clock.now_ns(), self._source, list(instruments)))
        try:
            await self._seams.worker.call(self._seams.disk.replace, self.path, data)
        except OSError as error:
            self._tell_once(
                f"the rules of instruments cannot be kept in {self.path} ({error.strerror or error})"
            )

    def recall(self, error: NetError) -> list[Instrument]:
        """Return what was kept, in place of an answer that did not come.

        Raises NetError where nothing was, or it is of no use.
        """
        if not self._ttl_ns or (error.status >= 400 and not failed_there(error.status)):
            raise error
        try:
            found, age_ns = self._read()
        except FileNotFoundError:
            raise error from None
        except FileFormatError as odd:
            raise NetError(
                f"{error}; its rules that were kept are no help: {self.path} {odd}", error.status
            ) from None
        self.unconfirmed = True
        self._tell_once(
            f"{self._who} tells no rules of instruments: this start goes by those of {_age(age_ns)} ago, "
            f"and asks again ({error})"
        )
        return found

    @property
    def at_hand(self) -> bool:
        """Whether `recall` would bring something now."""
        try:
            return bool(self._ttl_ns and self._read())
        except (FileFormatError, FileNotFoundError):
            return False

    def _read(self) -> tuple[list[Instrument], int]:
        """Return the instruments of the configured symbols, and their age; raises FileFormatError."""
        try:
            kept = decode(self._seams.disk.read(self.path))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise FileFormatError(f"cannot be read ({error.strerror or error})") from None
        if kept.source != self._source:
            raise FileFormatError(f"is of {kept.source}")
        age_ns = self._seams.clock.now_ns() - kept.told_ns
        if age_ns < 0:
            raise FileFormatError("is from the future: the clock was set back")
        if age_ns > self._ttl_ns:
            raise FileFormatError(f"is {_age(age_ns)} old, beyond feed.rules_ttl_h")
        by_symbol = {one.symbol: one for one in kept.instruments}
        if missing := [symbol for symbol in self._feed.symbols if symbol not in by_symbol]:
            raise FileFormatError(f"lacks {', '.join(missing)}")
        return [
            msgspec.structs.replace(by_symbol[symbol], index=index)
            for index, symbol in enumerate(self._feed.symbols)
        ], age_ns

    # --- while it runs ------------------------------------------------------------------------------------
    async def run(
        self,
        get: Callable[[str], Awaitable[bytes | None]],
        instruments: Sequence[Instrument],
        take: Callable[[Sequence[Instrument]], None] | None,
    ) -> None:
        """Ask anew until cancelled: soon where a start went by the file, else before it is too old.

        instruments: what this run trades by; get: as in `ask_instruments`; take: gets what the exchange says.
        """
        if not self._ttl_ns:
            return
        exchange = find_exchange(self._feed.exchange, self._feed.market)
        often_s = max(self._ttl_ns / _ASKS / 1e9, _APART_S)
        soon = Backoff(_FIRST_S, _APART_S, self._seams.random)
        while True:
            await pause(self._seams, soon.next_s() if self.unconfirmed else often_s)
            try:
                found = await ask_instruments(exchange, get, self._feed, instruments)
            except TickdError as error:  # no answer of its own, or a symbol that it lists no more
                self._tell_once(str(error))
                continue
            if found is not None:
                self.unconfirmed = False
                await self.keep(found)
                self._compare(instruments, found)
                if take is not None:
                    take(found)

    def _compare(self, ours: Sequence[Instrument], theirs: Sequence[Instrument]) -> None:
        """Tell of prices or quantities that are counted in other steps now: only a start takes those over."""
        others = [
            f"{now.symbol} in ticks of {now.tick_size} and lots of {now.lot_size}, not {was.tick_size} and "
            f"{was.lot_size}"
            for was, now in zip(ours, theirs, strict=True)
            if (was.tick_size, was.lot_size) != (now.tick_size, now.lot_size)
        ]
        if others:
            self._tell_once(f"{self._who} counts {'; '.join(others)} as this run does: start again")

    def _tell_once(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._tell(text)


# --- the file -----------------------------------------------------------------------------------------------
def encode(kept: Kept) -> bytes:
    """Return a file's bytes."""
    return whole_file.header(_MAGIC, _VERSION, 1) + frame(_encoder.encode(kept))


def decode(data: bytes) -> Kept:
    """Return what a file holds; raises FileFormatError, its text to be put behind the file's name."""
    for at, body in whole_file.frames_of(data, _MAGIC, _VERSION, "rules of instruments"):
        try:
            return _decoder.decode(body)
        except DECODE_ERRORS as error:
            raise FileFormatError(f"cannot be read at offset {at}: {error}") from None
    raise FileFormatError("is empty")


_encoder = msgspec.json.Encoder(enc_hook=scale_text)
_decoder = msgspec.json.Decoder(Kept, dec_hook=scale_of)


def _source(exchange: str, market: str, address: str) -> str:
    """Return which rules they are; an address of one's own is hashed: there may be a secret in it."""
    its = f"-{blake2b(address.encode(), digest_size=4).hexdigest()}" if address else ""
    return f"{exchange}-{market}{its}"


def _age(age_ns: int) -> str:
    return f"{age_ns / _HOUR_NS:.1f} h" if age_ns >= _HOUR_NS else f"{age_ns / 60e9:.0f} min"
