"""Where Bybit's market data is, how it is asked for, and the rules of its instruments."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from daemon.errors import DECODE_ERRORS, NetError
from daemon.feeds.base import Subscription
from daemon.feeds.bybit import BybitDecoder, topic
from daemon.feeds.parts import parts_of
from daemon.feeds.picking import pick_instruments
from daemon.instruments import Instrument, make_instrument, unify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.feeds.base import Decoder, Stream
    from daemon.instruments import Market

_WS_URL: Final = "wss://stream.bybit.com"
_REST_URL: Final = "https://api.bybit.com"
#: its words for the markets
_CATEGORIES: Final[dict[Market, str]] = {"spot": "spot", "usdm": "linear", "coinm": "inverse"}
#: a market lists what has an end too; an inverse perpetual counts in contracts of a dollar
_PERPETUALS: Final[dict[Market, str]] = {"usdm": "LinearPerpetual", "coinm": "InversePerpetual"}

#: topics that spot takes in one request
TOPICS_MAX: Final = 10
#: characters of topics that one connection takes, with their quotes and commas
TOPICS_CHARACTERS_MAX: Final = 21_000
_REQUEST_GAP_S: Final = 0.1
#: without a word from us it hangs up in time
_PING: Final = b'{"op":"ping"}'
_PING_S: Final = 20.0

_NONE: Final[Mapping[str, Instrument]] = {}


class _PriceFilter(msgspec.Struct):
    tick_size: str = msgspec.field(name="tickSize")
    price_min: str = msgspec.field(default="0", name="minPrice")  # derivatives
    price_max: str = msgspec.field(default="0", name="maxPrice")


class _LotFilter(msgspec.Struct):
    qty_min: str = msgspec.field(name="minOrderQty")
    qty_max: str = msgspec.field(default="", name="maxOrderQty")
    lot_size: str = msgspec.field(default="", name="qtyStep")
    precision: str = msgspec.field(default="", name="basePrecision")  # spot's word for it
    limit_qty_max: str = msgspec.field(default="", name="maxLimitOrderQty")  # spot's newer word for qty_max
    market_qty_max: str = msgspec.field(default="", name="maxMarketOrderQty")
    market_qty_max_linear: str = msgspec.field(default="", name="maxMktOrderQty")
    notional_min: str = msgspec.field(default="", name="minOrderAmt")
    notional_min_linear: str = msgspec.field(default="", name="minNotionalValue")


class _Symbol(msgspec.Struct):
    symbol: str
    base: str = msgspec.field(name="baseCoin")
    quote: str = msgspec.field(name="quoteCoin")
    status: str
    price: _PriceFilter = msgspec.field(name="priceFilter")
    lot: _LotFilter = msgspec.field(name="lotSizeFilter")
    kind: str = msgspec.field(default="", name="contractType")  # of derivatives


class _Result(msgspec.Struct):
    symbols: list[_Symbol] = msgspec.field(default_factory=list, name="list")


class _Answer(msgspec.Struct):
    code: int = msgspec.field(name="retCode")
    message: str = msgspec.field(default="", name="retMsg")
    result: _Result = msgspec.field(default_factory=_Result)


_decode_answer = msgspec.json.Decoder(_Answer).decode


class Bybit:
    """Spot and perpetuals of Bybit, or of whoever speaks its protocol at another address."""

    name = "bybit"
    markets: tuple[Market, ...] = ("spot", "usdm", "coinm")

    def decoder(self, instruments: Sequence[Instrument]) -> Decoder:
        """Return the decoder for these instruments, all of one market."""
        return BybitDecoder(instruments)

    def subscriptions(
        self, market: Market, instruments: Sequence[Instrument], streams: Sequence[Stream], base_url: str = ""
    ) -> list[Subscription]:
        """Return the connections, each with so many whole instruments as it takes topics of."""
        url = f"{(base_url or _WS_URL).rstrip('/')}/v5/public/{_CATEGORIES[market]}"

        def size(one: Instrument) -> int:
            return sum(len(topic(stream, one)) + 3 for stream in streams)

        found = []
        for part in parts_of(instruments, size, TOPICS_CHARACTERS_MAX):
            books = [topic("depth", one) for one in part if "depth" in streams]
            found.append(
                Subscription(
                    url,
                    tuple(one.index for one in part),
                    _requests("subscribe", [topic(stream, one) for one in part for stream in streams]),
                    _REQUEST_GAP_S,
                    {one.index: _anew(one) for one in part} if books else {},
                    _PING,
                    _PING_S,
                    hush=_requests("unsubscribe", books),
                )
            )
        return found

    def snapshot_url(self, instrument: Instrument, base_url: str = "") -> str:  # noqa: ARG002 - the protocol's
        """Return "": the depth stream begins with a whole book."""
        return ""

    def instruments_url(self, market: Market, symbols: Sequence[str], base_url: str = "") -> str:  # noqa: ARG002
        """Return the address of the rules of all that a market has: it is asked for one symbol or for all."""
        url = f"{(base_url or _REST_URL).rstrip('/')}/v5/market/instruments-info"
        return f"{url}?category={_CATEGORIES[market]}&limit=1000"

    def instruments(
        self,
        market: Market,
        symbols: Sequence[str],
        payload: bytes,
        remembered: Mapping[str, Instrument] = _NONE,
    ) -> list[Instrument]:
        """Return the instruments in the order of `symbols`, indices from 0.

        Raises NetError when the answer is none of Bybit's, ConfigError for a symbol that it does not list and
        that is not `remembered` by its unified name.
        """
        try:
            answer = _decode_answer(payload)
        except DECODE_ERRORS as error:
            raise NetError(f"bybit {market} told its rules as something else: {error}") from None
        if answer.code:
            raise NetError(f"bybit {market} refused its rules ({answer.code}): {answer.message}")
        listed = {
            unify(f"{one.base}/{one.quote}", market): one
            for one in answer.result.symbols
            if market == "spot" or one.kind == _PERPETUALS[market]
        }
        return pick_instruments(
            self.name,
            market,
            symbols,
            listed,
            partial(unify, market=market),
            partial(_instrument, market=market),
            remembered,
        )


def _request(verb: str, topics: Sequence[str]) -> bytes:
    return msgspec.json.encode({"op": verb, "args": topics})


def _requests(verb: str, topics: Sequence[str]) -> tuple[bytes, ...]:
    """Return the requests of so many topics, as many in one as spot takes."""
    return tuple(
        _request(verb, topics[first : first + TOPICS_MAX]) for first in range(0, len(topics), TOPICS_MAX)
    )


def _anew(instrument: Instrument) -> tuple[bytes, ...]:
    topics = [topic("depth", instrument)]
    return _request("unsubscribe", topics), _request("subscribe", topics)


def _instrument(index: int, symbol: _Symbol, market: Market) -> Instrument:
    """Build one instrument from its filters."""
    price, lot = symbol.price, symbol.lot
    return make_instrument(
        index,
        "bybit",
        market,
        f"{symbol.base}/{symbol.quote}",
        tick_size=price.tick_size,
        lot_size=lot.lot_size or lot.precision,
        qty_min=lot.qty_min,
        qty_max=lot.limit_qty_max or lot.qty_max,
        notional_min=lot.notional_min or lot.notional_min_linear or "0",
        status="TRADING" if symbol.status == "Trading" else symbol.status,
        price_min=price.price_min,
        price_max=price.price_max,
        stop_qty_max=lot.market_qty_max or lot.market_qty_max_linear or "0",
        exchange_symbol=symbol.symbol,
    )
