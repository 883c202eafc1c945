"""Where Coinbase Advanced Trade's market data is, how it is asked for, and the rules of its products.

What is quoted in USDC trades in the book of USD: the product names it (`alias`), and so do its frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import msgspec

from daemon.errors import DECODE_ERRORS, ConfigError, NetError
from daemon.feeds.base import Subscription
from daemon.feeds.coinbase import CoinbaseDecoder
from daemon.feeds.parts import parts_of
from daemon.feeds.picking import pick_instruments
from daemon.instruments import Instrument, make_instrument, unify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.feeds.base import Decoder, Stream
    from daemon.instruments import Market

_WS_URL: Final = "wss://advanced-trade-ws.coinbase.com"
_REST_URL: Final = "https://api.coinbase.com"

#: books that one connection may bring; it says "too many L2 streams" to more
_BOOKS_MAX: Final = 16
#: an address may say eight things a second, over all its connections
_REQUEST_GAP_S: Final = 0.2
#: symbols whose rules are asked for by name; more than that are picked from all
_SYMBOLS_ASKED_MAX: Final = 100

_CHANNELS: Final[dict[Stream, str]] = {"trade": "market_trades", "quote": "ticker", "depth": "level2"}
#: without it a channel that is quiet for a minute is closed
_HEARTBEATS: Final = b'{"type":"subscribe","channel":"heartbeats"}'

_NONE: Final[Mapping[str, Instrument]] = {}


class _Product(msgspec.Struct):
    product_id: str
    base_increment: str
    quote_increment: str
    base_min_size: str
    base_max_size: str
    price_increment: str = ""
    quote_min_size: str = "0"
    alias: str = ""
    status: str = ""
    is_disabled: bool = False
    trading_disabled: bool = False
    view_only: bool = False
    cancel_only: bool = False
    post_only: bool = False
    limit_only: bool = False
    auction_mode: bool = False


#: what a product is that takes not every order
_LIMITS: Final = (
    "is_disabled",
    "trading_disabled",
    "view_only",
    "cancel_only",
    "post_only",
    "limit_only",
    "auction_mode",
)


class _Products(msgspec.Struct):
    products: list[_Product]


_decode_products = msgspec.json.Decoder(_Products).decode


class Coinbase:
    """The spot market of Coinbase Advanced Trade."""

    name = "coinbase"
    markets: tuple[Market, ...] = ("spot",)

    def decoder(self, instruments: Sequence[Instrument]) -> Decoder:
        """Return the decoder for these instruments."""
        return CoinbaseDecoder(instruments)

    def subscriptions(
        self, market: Market, instruments: Sequence[Instrument], streams: Sequence[Stream], base_url: str = ""
    ) -> list[Subscription]:
        """Return the connections that bring these streams, each of so many products as it may."""
        del market
        parts = parts_of(instruments, lambda _: 1, _BOOKS_MAX)
        return [
            Subscription(
                base_url.rstrip("/") or _WS_URL,
                tuple(one.index for one in part),
                (
                    _HEARTBEATS,
                    *(
                        _request("subscribe", stream, [one.exchange_symbol for one in part])
                        for stream in streams
                    ),
                ),
                _REQUEST_GAP_S * len(parts),
                {
                    one.index: tuple(
                        _request(kind, "depth", [one.exchange_symbol])
                        for kind in ("unsubscribe", "subscribe")
                    )
                    for one in part
                    if "depth" in streams
                },
                overlaps=False,
            )
            for part in parts
        ]

    def snapshot_url(self, instrument: Instrument, base_url: str = "") -> str:
        """Return nothing: a book comes by its stream."""
        del instrument, base_url
        return ""

    def instruments_url(self, market: Market, symbols: Sequence[str], base_url: str = "") -> str:
        """Return the address of the rules of these symbols (unified), of all there are for none."""
        del market
        asked = [("product_type", "SPOT")]
        if 0 < len(symbols) <= _SYMBOLS_ASKED_MAX:
            asked += (("product_ids", _product_id(symbol)) for symbol in symbols)
        return f"{base_url.rstrip('/') or _REST_URL}/api/v3/brokerage/market/products?{urlencode(asked)}"

    def instruments(
        self,
        market: Market,
        symbols: Sequence[str],
        payload: bytes,
        remembered: Mapping[str, Instrument] = _NONE,
    ) -> list[Instrument]:
        """Return the instruments in the order of `symbols`, indices from 0; see feeds.base.Exchange."""
        try:
            products = _decode_products(payload).products
        except DECODE_ERRORS as error:
            raise NetError(f"coinbase {market} answered products with something else: {error}") from None
        listed = {one.product_id: one for one in products}
        found = pick_instruments(self.name, market, symbols, listed, _product_id, _instrument, remembered)
        books: dict[str, str] = {}
        for one in found:
            other = books.setdefault(one.exchange_symbol, one.symbol)
            if other != one.symbol:
                raise ConfigError(f"{other} and {one.symbol} trade in one book at coinbase; name one of them")
        return found


def _request(kind: str, stream: Stream, products: Sequence[str]) -> bytes:
    """Return a request for a stream of these products, or for its end."""
    return msgspec.json.encode({"type": kind, "product_ids": products, "channel": _CHANNELS[stream]})


def _product_id(symbol: str) -> str:
    """Return BTC-USD for any way of writing the pair."""
    return unify(symbol).replace("/", "-")


def _instrument(index: int, product: _Product) -> Instrument:
    """Build one instrument."""
    limits = [limit for limit in _LIMITS if getattr(product, limit)]
    status = product.status if product.status != "online" else limits[0] if limits else "TRADING"
    return make_instrument(
        index,
        "coinbase",
        "spot",
        product.product_id.replace("-", "/"),
        tick_size=product.price_increment or product.quote_increment,
        lot_size=product.base_increment,
        qty_min=product.base_min_size,
        qty_max=product.base_max_size,
        notional_min=product.quote_min_size,
        status=status,
        exchange_symbol=product.alias or product.product_id,
    )
