"""Where Kraken's spot market data is, how it is asked for, and the rules of its instruments.

Its websockets say BTC and DOGE where its REST answers still say XBT and XDG. Tokenized stocks are named in
mixed case (AAPLx/USD): symbols here are upper case, and the exchange hears its own spelling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from daemon.errors import DECODE_ERRORS, NetError
from daemon.feeds.base import Subscription
from daemon.feeds.kraken import DEPTH, KrakenDecoder
from daemon.feeds.parts import parts_of
from daemon.feeds.picking import pick_instruments
from daemon.instruments import Instrument, make_instrument, unify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.feeds.base import Decoder, Stream
    from daemon.instruments import Market

_WS_URL: Final = "wss://ws.kraken.com/v2"
_REST_URL: Final = "https://api.kraken.com"

#: symbols of one request, and the time between two
_SYMBOLS_MAX: Final = 100
_REQUEST_GAP_S: Final = 0.25

#: what each stream is asked for by; a snapshot of trades would be history
_CHANNELS: Final[dict[Stream, dict[str, Any]]] = {
    "trade": {"channel": "trade", "snapshot": False},
    "quote": {"channel": "ticker", "event_trigger": "bbo", "snapshot": True},
    "depth": {"channel": "book", "depth": DEPTH, "snapshot": True},
}
#: by its old name, what an asset is called
_RENAMED: Final = {"XBT": "BTC", "XDG": "DOGE"}
#: Kraken tells no largest quantity: a number of lots that an int64 has room for, as a power of ten
_LOTS_DIGITS: Final = 17

_NONE: Final[Mapping[str, Instrument]] = {}


_Decimals = Annotated[int, msgspec.Meta(ge=0, le=18)]


class _Pair(msgspec.Struct):
    pair_decimals: _Decimals
    lot_decimals: _Decimals
    wsname: str = ""
    tick_size: str = ""
    ordermin: str = "0"
    costmin: str = "0"
    status: str = "online"


class _AssetPairs(msgspec.Struct):
    error: list[str]
    result: dict[str, _Pair] = {}


_decode_pairs = msgspec.json.Decoder(_AssetPairs).decode


class Kraken:
    """Kraken's spot market, over websocket v2."""

    name = "kraken"
    markets: tuple[Market, ...] = ("spot",)

    def decoder(self, instruments: Sequence[Instrument]) -> Decoder:
        """Return the decoder for these instruments."""
        return KrakenDecoder(instruments)

    def subscriptions(
        self, market: Market, instruments: Sequence[Instrument], streams: Sequence[Stream], base_url: str = ""
    ) -> list[Subscription]:
        """Return the one connection that brings it all."""
        del market
        names = [one.exchange_symbol for one in instruments]
        requests = tuple(
            _request("subscribe", stream, part)
            for stream in streams
            for part in parts_of(names, lambda _: 1, _SYMBOLS_MAX)
        )
        anew = {
            one.index: tuple(
                _request(method, "depth", [one.exchange_symbol]) for method in ("unsubscribe", "subscribe")
            )
            for one in instruments
            if "depth" in streams
        }
        if not instruments:  # none of them is listed any more
            return []
        indices = tuple(one.index for one in instruments)
        url = base_url.rstrip("/") or _WS_URL
        return [Subscription(url, indices, requests, _REQUEST_GAP_S, anew, overlaps=False)]

    def snapshot_url(self, instrument: Instrument, base_url: str = "") -> str:
        """Return nothing: a book comes by its stream."""
        del instrument, base_url
        return ""

    def instruments_url(self, market: Market, symbols: Sequence[str], base_url: str = "") -> str:
        """Return the address of the rules of all pairs: one name unknown to it refuses all."""
        del market, symbols
        return f"{base_url.rstrip('/') or _REST_URL}/0/public/AssetPairs"

    def instruments(
        self,
        market: Market,
        symbols: Sequence[str],
        payload: bytes,
        remembered: Mapping[str, Instrument] = _NONE,
    ) -> list[Instrument]:
        """Return the instruments in the order of `symbols`, indices from 0; see feeds.base.Exchange."""
        try:
            pairs = _decode_pairs(payload)
        except DECODE_ERRORS as error:
            raise NetError(f"kraken {market} answered AssetPairs with something else: {error}") from None
        if pairs.error:
            raise NetError(f"kraken {market} refused AssetPairs: {', '.join(pairs.error)[:200]}")
        names = [(_renamed(one.wsname), one) for one in pairs.result.values()]
        # of two that differ in case alone the one that is written as symbols are here
        names.sort(key=lambda named: named[0].isupper())
        listed = {name.upper(): one for name, one in names}
        return pick_instruments(self.name, market, symbols, listed, unify, _instrument, remembered)


def _request(method: str, stream: Stream, symbols: Sequence[str]) -> bytes:
    """Return a request for a stream of these symbols, or for its end."""
    channel = _CHANNELS[stream]
    if method == "unsubscribe":
        channel = {key: value for key, value in channel.items() if key in {"channel", "depth"}}
    return msgspec.json.encode({"method": method, "params": {**channel, "symbol": symbols}})


def _renamed(pair: str) -> str:
    """Return BTC/USD for XBT/USD."""
    return "/".join(_RENAMED.get(asset, asset) for asset in pair.split("/"))


def _instrument(index: int, pair: _Pair) -> Instrument:
    """Build one instrument; orders are told to the digits of which a book's checksum is made."""
    return make_instrument(
        index,
        "kraken",
        "spot",
        _renamed(pair.wsname),
        tick_size=pair.tick_size or f"1e-{pair.pair_decimals}",
        lot_size=f"1e-{pair.lot_decimals}",
        qty_min=pair.ordermin,
        qty_max=f"1e{_LOTS_DIGITS - pair.lot_decimals}",
        notional_min=pair.costmin,
        status="TRADING" if pair.status == "online" else pair.status,
        exchange_symbol=_renamed(pair.wsname),
        checksum_places=(pair.pair_decimals, pair.lot_decimals),
    )
