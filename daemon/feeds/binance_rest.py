"""Where Binance's market data is, how it is asked for, and the rules of its instruments."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

import msgspec

from daemon.errors import DECODE_ERRORS, ConfigError, NetError
from daemon.feeds.base import Subscription
from daemon.feeds.binance import BinanceDecoder
from daemon.feeds.parts import parts_of
from daemon.feeds.picking import pick_instruments
from daemon.instruments import Instrument, make_instrument, unify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.feeds.base import Decoder, Stream
    from daemon.instruments import Market

#: streams one connection can carry
STREAMS_MAX: Final = 1024
#: bytes of names in an address, of which 8,000 characters pass, or in a request: one of more than 4,088 bytes
#: is never answered, and nothing is streamed
_NAMES_BYTES_MAX: Final = 3_900
#: a connection that says more than five things a second is cut
_REQUEST_GAP_S: Final = 0.25
#: symbols whose rules are asked for by name; more than that are picked from all
_SYMBOLS_ASKED_MAX: Final = 100

#: levels a side of a snapshot: what the captures hold; 5,000 would cost five times the request weight
_SNAPSHOT_LEVELS: Final = 1000


_NONE: Final[Mapping[str, Instrument]] = {}


class _Place(NamedTuple):
    """One market's addresses. USD-M routes quotes, depth and trades under /public since April 2026."""

    ws_url: str
    rest_url: str
    api: str
    depth: str  # the fastest depth stream


_PLACES: Final[dict[Market, _Place]] = {
    "spot": _Place("wss://stream.binance.com:9443", "https://api.binance.com", "/api/v3", "depth@100ms"),
    "usdm": _Place("wss://fstream.binance.com/public", "https://fapi.binance.com", "/fapi/v1", "depth@0ms"),
    "coinm": _Place("wss://dstream.binance.com", "https://dapi.binance.com", "/dapi/v1", "depth@0ms"),
}


class _Filter(msgspec.Struct):
    kind: str = msgspec.field(name="filterType")
    tick_size: str = msgspec.field(default="", name="tickSize")
    price_min: str = msgspec.field(default="0", name="minPrice")
    price_max: str = msgspec.field(default="0", name="maxPrice")
    lot_size: str = msgspec.field(default="", name="stepSize")
    qty_min: str = msgspec.field(default="", name="minQty")
    qty_max: str = msgspec.field(default="", name="maxQty")
    notional_min: str = msgspec.field(default="", name="minNotional")
    notional: str = ""  # the futures' word for it
    notional_max: str = msgspec.field(default="0", name="maxNotional")
    orders_max: int = msgspec.field(default=0, name="maxNumOrders")
    stops_max: int = msgspec.field(default=0, name="maxNumAlgoOrders")
    limit: int = 0  # the futures' word for either
    amends_max: int = msgspec.field(default=0, name="maxNumOrderAmends")
    position_max: str = msgspec.field(default="0", name="maxPosition")
    #: of the average or mark price: of both sides, or of each
    up: str = msgspec.field(default="", name="multiplierUp")
    down: str = msgspec.field(default="", name="multiplierDown")
    bid_up: str = msgspec.field(default="", name="bidMultiplierUp")
    bid_down: str = msgspec.field(default="", name="bidMultiplierDown")
    ask_up: str = msgspec.field(default="", name="askMultiplierUp")
    ask_down: str = msgspec.field(default="", name="askMultiplierDown")


class _Symbol(msgspec.Struct):
    symbol: str
    base: str = msgspec.field(name="baseAsset")
    quote: str = msgspec.field(name="quoteAsset")
    status: str = ""
    contract_status: str = msgspec.field(default="", name="contractStatus")  # COIN-M
    contract_size: int = msgspec.field(default=1, name="contractSize")  # likewise, in dollars
    filters: list[_Filter] = []


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_Symbol]


_decode_info = msgspec.json.Decoder(_ExchangeInfo).decode


class Binance:
    """Spot, USD-M and COIN-M of Binance, or of whoever speaks its protocol at another address."""

    name = "binance"
    markets: tuple[Market, ...] = ("spot", "usdm", "coinm")

    def decoder(self, instruments: Sequence[Instrument]) -> Decoder:
        """Return the decoder for these instruments, all of one market."""
        return BinanceDecoder(instruments)

    def subscriptions(
        self, market: Market, instruments: Sequence[Instrument], streams: Sequence[Stream], base_url: str = ""
    ) -> list[Subscription]:
        """Return the combined connections: each carries so many streams as it may, of whole instruments.

        The first streams stand in the address, and what is too much for it is subscribed to behind it.
        """
        place = _PLACES[market]
        suffixes = {"trade": "trade", "quote": "bookTicker", "depth": place.depth}
        url = f"{(base_url or place.ws_url).rstrip('/')}/stream?streams="
        share = STREAMS_MAX // len(streams)
        found = []
        for first in range(0, len(instruments), share):
            part = instruments[first : first + share]
            names = [
                f"{one.exchange_symbol.lower()}@{suffixes[stream]}" for one in part for stream in streams
            ]
            stated, *others = parts_of(names, _size, _NAMES_BYTES_MAX)
            requests = tuple(
                msgspec.json.encode({"method": "SUBSCRIBE", "params": batch, "id": number})
                for number, batch in enumerate(others, 1)
            )
            indices = tuple(one.index for one in part)
            found.append(Subscription(url + "/".join(stated), indices, requests, _REQUEST_GAP_S))
        return found

    def snapshot_url(self, instrument: Instrument, base_url: str = "") -> str:
        """Return the REST address of an instrument's book."""
        place = _PLACES[instrument.market]
        query = f"symbol={instrument.exchange_symbol}&limit={_SNAPSHOT_LEVELS}"
        return f"{(base_url or place.rest_url).rstrip('/')}{place.api}/depth?{query}"

    def instruments_url(self, market: Market, symbols: Sequence[str], base_url: str = "") -> str:
        """Return the address of the rules; Spot can be asked for a few symbols, the futures tell all."""
        place = _PLACES[market]
        url = f"{(base_url or place.rest_url).rstrip('/')}{place.api}/exchangeInfo"
        if market != "spot" or not 0 < len(symbols) <= _SYMBOLS_ASKED_MAX:
            return url
        names = ",".join(f'"{_exchange_symbol(symbol, market)}"' for symbol in symbols)
        return f"{url}?symbols={quote(f'[{names}]')}"

    def instruments(
        self,
        market: Market,
        symbols: Sequence[str],
        payload: bytes,
        remembered: Mapping[str, Instrument] = _NONE,
    ) -> list[Instrument]:
        """Return the instruments in the order of `symbols`, indices from 0.

        Raises NetError when the answer is none of Binance's, ConfigError for a symbol that it does not list
        and that is not `remembered` by its unified name.
        """
        try:
            info = _decode_info(payload)
        except DECODE_ERRORS as error:
            raise NetError(f"binance {market} answered exchangeInfo with something else: {error}") from None
        return pick_instruments(
            self.name,
            market,
            symbols,
            {one.symbol: one for one in info.symbols},
            partial(_exchange_symbol, market=market),
            partial(_instrument, market=market),
            remembered,
        )


def _size(name: str) -> int:
    """Return what a stream's name takes of a request, with its quotes and comma."""
    return len(name) + 3


def _exchange_symbol(symbol: str, market: Market) -> str:
    """Return BTCUSDT or BTCUSD_PERP for any way of writing the pair."""
    plain = unify(symbol, market).split(":")[0].replace("/", "")
    return plain + "_PERP" if market == "coinm" else plain


def _instrument(index: int, symbol: _Symbol, market: Market) -> Instrument:
    """Build one instrument from its filters."""
    by_kind = {one.kind: one for one in symbol.filters}
    price, lot = by_kind.get("PRICE_FILTER"), by_kind.get("LOT_SIZE")
    if price is None or lot is None:
        raise ConfigError(
            f"binance {market} tells no tick or lot size for {symbol.symbol}; it cannot be traded"
        )
    market_lot, orders = by_kind.get("MARKET_LOT_SIZE"), by_kind.get("MAX_NUM_ORDERS")
    stops, amends = by_kind.get("MAX_NUM_ALGO_ORDERS"), by_kind.get("MAX_NUM_ORDER_AMENDS")
    position = by_kind.get("MAX_POSITION")
    notional = by_kind.get("NOTIONAL") or by_kind.get("MIN_NOTIONAL")
    return make_instrument(
        index,
        "binance",
        market,
        f"{symbol.base}/{symbol.quote}",
        tick_size=price.tick_size,
        lot_size=lot.lot_size,
        qty_min=lot.qty_min,
        qty_max=lot.qty_max,
        notional_min=(notional.notional_min or notional.notional) if notional else "0",
        status=symbol.status or symbol.contract_status,
        price_min=price.price_min,
        price_max=price.price_max,
        notional_max=notional.notional_max if notional else "0",
        stop_qty_max=market_lot.qty_max if market_lot else "0",
        position_max=position.position_max if position else "0",
        orders_max=(orders.orders_max or orders.limit) if orders else 0,
        stops_max=(stops.stops_max or stops.limit) if stops else 0,
        amends_max=amends.amends_max if amends else 0,
        reference_bound=_reference_bound(by_kind),
        contract_size=Decimal(symbol.contract_size),
    )


def _reference_bound(by_kind: dict[str, _Filter]) -> Decimal:
    """Return how far from its own reference the exchange takes a price at least; 0: it does not say."""
    one = by_kind.get("PERCENT_PRICE_BY_SIDE") or by_kind.get("PERCENT_PRICE")
    if one is None:
        return Decimal(0)
    told = (one.up, one.down, one.bid_up, one.bid_down, one.ask_up, one.ask_down)
    return min((abs(Decimal(text) - 1) for text in told if text), default=Decimal(0))
