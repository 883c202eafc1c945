"""Where OKX's market data is, how it is asked for, and the rules of its instruments."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from daemon.errors import DECODE_ERRORS, NetError
from daemon.feeds.base import Subscription
from daemon.feeds.okx import CHANNELS, OkxDecoder
from daemon.feeds.parts import parts_of
from daemon.feeds.picking import pick_instruments
from daemon.instruments import Instrument, make_instrument, unify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.feeds.base import Decoder, Stream
    from daemon.instruments import Market

_WS_URL: Final = "wss://ws.okx.com:8443"
_REST_URL: Final = "https://www.okx.com"

#: bytes of channels that one connection takes are 64 KB; and in one request we ask for a part of them
CHANNELS_BYTES_MAX: Final = 60_000
_REQUEST_BYTES_MAX: Final = 4_000
#: it takes three requests a second, and 480 an hour
_REQUEST_GAP_S: Final = 0.35
#: a connection that is silent for 30 s is cut
_PING: Final = b"ping"
_PING_S: Final = 20.0

_NONE: Final[Mapping[str, Instrument]] = {}


#: its words for the markets
_TYPES: Final[dict[Market, str]] = {"spot": "SPOT", "usdm": "SWAP", "coinm": "SWAP"}
_CONTRACTS: Final[dict[Market, str]] = {"usdm": "linear", "coinm": "inverse"}


class _Symbol(msgspec.Struct):
    symbol: str = msgspec.field(name="instId")
    base: str = msgspec.field(name="baseCcy")  # of swaps empty
    quote: str = msgspec.field(name="quoteCcy")
    tick_size: str = msgspec.field(name="tickSz")
    lot_size: str = msgspec.field(name="lotSz")
    qty_min: str = msgspec.field(name="minSz")
    qty_max: str = msgspec.field(name="maxLmtSz")
    state: str
    underlying: str = msgspec.field(default="", name="uly")  # of swaps: BTC-USDT
    settle: str = msgspec.field(default="", name="settleCcy")
    contract: str = msgspec.field(default="", name="ctType")
    contract_size: str = msgspec.field(default="", name="ctVal")
    contract_of: str = msgspec.field(default="", name="ctValCcy")
    contracts: str = msgspec.field(default="", name="ctMult")  # that one counts as

    @property
    def pair(self) -> str:
        """Return what it trades as BTC/USDT."""
        return self.underlying.replace("-", "/") if self.underlying else f"{self.base}/{self.quote}"

    def is_of(self, market: Market) -> bool:
        """Whether it is what a market has: a pair, or a perpetual that settles in quote or base."""
        if market == "spot":
            return True
        base, _, quote = self.pair.partition("/")
        settle, of = (quote, base) if market == "usdm" else (base, quote)
        told = (self.contract, self.settle, self.contract_of)
        return told == (_CONTRACTS[market], settle, of)


class _Answer(msgspec.Struct):
    code: str
    msg: str = ""
    data: list[_Symbol] = []


_decode_answer = msgspec.json.Decoder(_Answer).decode


class Okx:
    """Spot and perpetual swaps of OKX, or of whoever speaks its protocol at another address."""

    name = "okx"
    markets: tuple[Market, ...] = ("spot", "usdm", "coinm")

    def decoder(self, instruments: Sequence[Instrument]) -> Decoder:
        """Return the decoder for these instruments."""
        return OkxDecoder(instruments)

    def subscriptions(
        self,
        market: Market,  # noqa: ARG002 - all come by one address
        instruments: Sequence[Instrument],
        streams: Sequence[Stream],
        base_url: str = "",
    ) -> list[Subscription]:
        """Return the connections, each with so many whole instruments as it takes channels of."""
        url = f"{(base_url or _WS_URL).rstrip('/')}/ws/v5/public"

        def size(one: Instrument) -> int:
            return sum(len(_channel(stream, one)) + 1 for stream in streams)

        found = []
        for part in parts_of(instruments, size, CHANNELS_BYTES_MAX):
            channels = [_channel(stream, one) for one in part for stream in streams]
            requests = [_request("subscribe", some) for some in parts_of(channels, len, _REQUEST_BYTES_MAX)]
            found.append(
                Subscription(
                    url,
                    tuple(one.index for one in part),
                    tuple(requests),
                    _REQUEST_GAP_S,
                    {one.index: _anew(one) for one in part} if "depth" in streams else {},
                    _PING,
                    _PING_S,
                    hush=tuple(
                        _request("unsubscribe", some)
                        for some in parts_of(
                            (_channel("depth", one) for one in part if "depth" in streams),
                            len,
                            _REQUEST_BYTES_MAX,
                        )
                    ),
                )
            )
        return found

    def snapshot_url(self, instrument: Instrument, base_url: str = "") -> str:  # noqa: ARG002 - the protocol's
        """Return "": the depth stream begins with a whole book."""
        return ""

    def instruments_url(self, market: Market, symbols: Sequence[str], base_url: str = "") -> str:  # noqa: ARG002
        """Return the address of the rules of all there are: it is asked for one symbol or for all."""
        url = f"{(base_url or _REST_URL).rstrip('/')}/api/v5/public/instruments"
        return f"{url}?instType={_TYPES[market]}"

    def instruments(
        self,
        market: Market,
        symbols: Sequence[str],
        payload: bytes,
        remembered: Mapping[str, Instrument] = _NONE,
    ) -> list[Instrument]:
        """Return the instruments in the order of `symbols`, indices from 0.

        Raises NetError when the answer is none of OKX's, ConfigError for a symbol that it does not list and
        that is not `remembered` by its unified name.
        """
        try:
            answer = _decode_answer(payload)
        except DECODE_ERRORS as error:
            raise NetError(f"okx {market} told its rules as something else: {error}") from None
        if answer.code != "0":
            raise NetError(f"okx {market} refused its rules ({answer.code}): {answer.msg}")
        return pick_instruments(
            self.name,
            market,
            symbols,
            {unify(one.pair, market): one for one in answer.data if one.is_of(market)},
            partial(unify, market=market),
            partial(_instrument, market=market),
            remembered,
        )


def _channel(stream: Stream, instrument: Instrument) -> bytes:
    return msgspec.json.encode({"channel": CHANNELS[stream], "instId": instrument.exchange_symbol})


def _request(verb: str, channels: Sequence[bytes]) -> bytes:
    return msgspec.json.encode({"op": verb, "args": [msgspec.Raw(one) for one in channels]})


def _anew(instrument: Instrument) -> tuple[bytes, ...]:
    channels = [_channel("depth", instrument)]
    return _request("unsubscribe", channels), _request("subscribe", channels)


def _instrument(index: int, symbol: _Symbol, market: Market) -> Instrument:
    """Build one instrument; the largest market orders are told in dollars, and the least value not at all.

    Swaps tell sizes in contracts: of linear ones ours are of the base.
    """
    contract = Decimal(1)
    if market != "spot":
        contract = Decimal(symbol.contract_size) * Decimal(symbol.contracts)
    unit = contract if market == "usdm" else Decimal(1)
    return make_instrument(
        index,
        "okx",
        market,
        symbol.pair,
        tick_size=symbol.tick_size,
        lot_size=str(Decimal(symbol.lot_size) * unit),
        qty_min=str(Decimal(symbol.qty_min) * unit),
        qty_max=str(Decimal(symbol.qty_max) * unit),
        notional_min="0",
        status="TRADING" if symbol.state == "live" else symbol.state,
        exchange_symbol=symbol.symbol,
        contract_size=contract,
    )
