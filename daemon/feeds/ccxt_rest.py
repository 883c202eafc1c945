"""Any exchange of ccxt.pro as a feed: how its streams are asked for, and the rules of its instruments.

Nobody is asked over HTTP or by a websocket of ours: addresses begin with `ccxt:`, and who makes connections
for such a feed (daemon/feeds/ccxt_net.py) has ccxt do what they say.
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from daemon.errors import DECODE_ERRORS, ConfigError, NetError
from daemon.feeds.base import Subscription
from daemon.feeds.ccxt import CcxtDecoder
from daemon.feeds.picking import pick_instruments
from daemon.instruments import Instrument, make_instrument, unify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.feeds.base import Decoder, Stream
    from daemon.instruments import Market

_NONE: Final[Mapping[str, Instrument]] = {}
#: lots of an order where no largest is told: a number that an int64 has room for
_LOTS_MAX: Final = 10**17


class Ask(msgspec.Struct, frozen=True):
    """What a connection is asked for: a stream of a symbol, its book anew, or no books any more."""

    verb: Literal["watch", "anew", "hush"]
    stream: str = ""
    symbol: str = ""


class Rules(msgspec.Struct):
    """A market of ccxt, its numbers as exact text; "" where there is no such limit."""

    symbol: str
    tick_size: str
    lot_size: str
    qty_min: str = ""
    qty_max: str = ""
    notional_min: str = ""
    contract_size: str = "1"
    active: bool = True


_decode_rules = msgspec.json.Decoder(list[Rules]).decode


class CcxtExchange:
    """An exchange by ccxt's name. Which of these markets it has, ccxt says when the rules are asked for."""

    markets: tuple[Market, ...] = ("spot", "usdm", "coinm")

    def __init__(self, name: str) -> None:
        """`name` as it stands in the configuration, with its prefix."""
        self.name = name

    def decoder(self, instruments: Sequence[Instrument]) -> Decoder:
        """Return the decoder for these instruments."""
        return CcxtDecoder(instruments)

    def subscriptions(
        self,
        market: Market,
        instruments: Sequence[Instrument],
        streams: Sequence[Stream],
        base_url: str = "",  # noqa: ARG002 - ccxt has the addresses
    ) -> list[Subscription]:
        """Return the one connection that brings it all: ccxt opens as many sockets as it wants."""
        if not instruments:
            return []
        books = "depth" in streams
        return [
            Subscription(
                f"{self.name}/{market}",
                tuple(one.index for one in instruments),
                tuple(_say("watch", stream, one.symbol) for one in instruments for stream in streams),
                0.0,  # ccxt waits as long as its exchange wants
                {one.index: (_say("anew", "depth", one.symbol),) for one in instruments} if books else {},
                hush=(_say("hush"),) if books else (),
            )
        ]

    def snapshot_url(self, instrument: Instrument, base_url: str = "") -> str:  # noqa: ARG002 - the protocol's
        """Return "": ccxt's books come whole."""
        return ""

    def instruments_url(self, market: Market, symbols: Sequence[str], base_url: str = "") -> str:  # noqa: ARG002
        """Return the address of the rules of all that a market has."""
        return f"{self.name}/{market}"

    def instruments(
        self,
        market: Market,
        symbols: Sequence[str],
        payload: bytes,
        remembered: Mapping[str, Instrument] = _NONE,
    ) -> list[Instrument]:
        """Return the instruments in the order of `symbols`, indices from 0; see feeds.base.Exchange."""
        try:
            listed = _decode_rules(payload)
        except DECODE_ERRORS as error:
            raise NetError(f"{self.name} {market} told its rules as something else: {error}") from None
        return pick_instruments(
            self.name,
            market,
            symbols,
            {one.symbol: one for one in listed},
            partial(unify, market=market),
            partial(self._instrument, market=market),
            remembered,
        )

    def _instrument(self, index: int, one: Rules, market: Market) -> Instrument:
        """Build one instrument; what ccxt counts in contracts of the base is counted in the base here."""
        if not one.tick_size or not one.lot_size:
            raise ConfigError(
                f"{self.name} {market} has no fixed steps of price and quantity for {one.symbol}; "
                "it cannot be followed"
            )
        contract = Decimal(one.contract_size)
        unit = contract if market == "usdm" else Decimal(1)
        lot = Decimal(one.lot_size) * unit
        return make_instrument(
            index,
            self.name,
            market,
            one.symbol,
            tick_size=one.tick_size,
            lot_size=str(lot),
            qty_min=str(Decimal(one.qty_min) * unit if one.qty_min else lot),
            qty_max=str(Decimal(one.qty_max) * unit if one.qty_max else lot * _LOTS_MAX),
            notional_min=one.notional_min or "0",
            status="TRADING" if one.active else "inactive",
            exchange_symbol=one.symbol,
            contract_size=contract,
        )


def _say(verb: Literal["watch", "anew", "hush"], stream: str = "", symbol: str = "") -> bytes:
    return msgspec.json.encode(Ask(verb, stream, symbol))
