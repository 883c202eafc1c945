"""An instrument's rules, and exact conversion between text, Decimal and integer ticks and lots.

Inside the daemon a price is an integer count of the instrument's tick size and a quantity one of its lot
size; text and Decimal exist at the edges only, floats only in features.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

import msgspec

from daemon.errors import ConfigError

Market = Literal["spot", "usdm", "coinm"]

#: the status of what the journal remembers and its exchange has not any more
NOT_LISTED: Final = "not listed"


class Scale:
    """A step such as 0.01 or 0.5, and the integers counted in it.

    The step is `num / 10**places` exactly, so that conversions are integer arithmetic on digits.
    """

    __slots__ = ("_base", "as_float", "num", "places", "step")

    def __init__(self, step: Decimal) -> None:
        if not step.is_finite() or step <= 0:
            raise ConfigError(f"a tick or lot size must be a positive number, not {step}")
        step = step.normalize()
        exponent = step.as_tuple().exponent
        assert isinstance(exponent, int)
        self.step = step
        self.places = max(0, -exponent)
        self._base: int = 10**self.places
        self.num = int(step * self._base)
        self.as_float = float(step)

    def parse(self, text: str) -> int:
        """Return the count of steps in `text`; raises ValueError when it is no number or no whole count."""
        try:
            count = Decimal(text) / self.step
        except InvalidOperation:
            raise ValueError(f"{text!r} is no number") from None
        if not count.is_finite() or count != count.to_integral_value():
            raise ValueError(f"{text} is no multiple of {self.step}")
        return int(count)

    def count(self, value: float) -> int:
        """Return the nearest count of steps to a float."""
        return round(value / self.as_float)

    def text(self, count: int) -> str:
        """Return the exact decimal text of `count` steps, without exponent: what goes on the wire."""
        if not self.places:
            return str(count * self.num)
        sign = "-" if count < 0 else ""
        whole, part = divmod(abs(count) * self.num, self._base)
        return f"{sign}{whole}.{part:0{self.places}d}"

    def decimal(self, count: int) -> Decimal:
        """Return the exact value of `count` steps."""
        return self.step * count

    def value(self, count: int) -> float:
        """Return the nearest float to `count` steps (correctly rounded)."""
        return count * self.num / self._base


class Instrument(msgspec.Struct, frozen=True):
    """What can be traded and how; `index` is its place in the daemon's tables."""

    index: int
    exchange: str  # "binance"
    market: Market
    symbol: str  # ccxt's unified form: BTC/USDT, BTC/USDT:USDT
    exchange_symbol: str  # theirs: BTCUSDT
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    qty_min: Decimal
    qty_max: Decimal
    notional_min: Decimal
    price: Scale
    qty: Scale
    status: str = "TRADING"
    #: 0: no bound
    price_min: Decimal = Decimal(0)
    price_max: Decimal = Decimal(0)
    notional_max: Decimal = Decimal(0)  # of orders with a price
    stop_qty_max: Decimal = Decimal(0)  # of a stop, which becomes a market order
    position_max: Decimal = Decimal(0)  # of the base that an account may have, open buys included
    orders_max: int = 0  # open at once
    stops_max: int = 0
    amends_max: int = 0  # of one order
    #: how far from a reference of the venue's own, an average or the mark, it takes a price, as a fraction
    reference_bound: Decimal = Decimal(0)
    #: decimals of price and quantity in the checksums of books, where the exchange sends any
    checksum_places: tuple[int, int] = (0, 0)
    #: what a contract is, where the exchange counts in them: so much of the base, or, inverse, of the quote
    contract_size: Decimal = Decimal(1)

    @property
    def told_size(self) -> Decimal:
        """Return what one is of the quantities that its exchange tells, in ours.

        Ours are of the base, and contracts of an inverse one, whose base is another amount at each price.
        """
        return Decimal(1) if self.market == "coinm" else self.contract_size

    @property
    def told_ratio(self) -> tuple[int, int]:
        """Return the same as (numerator, denominator): ours is `told * numerator / denominator`."""
        return self.told_size.as_integer_ratio()

    @property
    def told_qty(self) -> Scale:
        """Return a lot as the exchange's own quantities count it."""
        return Scale(self.lot_size / self.told_size)

    def exact_qty(self, value: float) -> Decimal:
        """Return the exact amount of a quantity that a decoder made of what the exchange told.

        The shortest text that gives a float is what was told, up to 15 digits. Raises ValueError beyond.
        """
        size, of = self.told_ratio
        if size == of:
            return Decimal(repr(value))
        told = Decimal(f"{Decimal(value) * of / size:.15g}")
        if float(told) * size / of != value:
            raise ValueError(f"{value!r} is no amount that {self.exchange} told in 15 digits")
        return told * self.told_size

    @property
    def checksum_units(self) -> tuple[int, int]:
        """Return what a tick and a lot are in the last of these decimals; less than one is none."""
        price, qty = self.checksum_places
        return int(self.tick_size * 10**price), int(self.lot_size * 10**qty)

    @property
    def trading(self) -> bool:
        """Whether its exchange takes orders in it, as far as it says."""
        return self.status in {"", "TRADING"}

    @property
    def listed(self) -> bool:
        """Whether its exchange can be asked about it."""
        return self.status != NOT_LISTED

    @property
    def spot(self) -> bool:
        """Whether a position cannot go below zero."""
        return self.market == "spot"

    def is_dust(self, lots: int, price: Decimal) -> bool:
        """Whether a position is too small for the venue to take the order that would close it.

        What only reduces a derivative may be of any notional.
        """
        qty = self.qty.decimal(lots)
        return qty < self.qty_min or (self.spot and qty * price < self.notional_min)


def make_instrument(
    index: int,
    exchange: str,
    market: Market,
    symbol: str,
    *,
    tick_size: str,
    lot_size: str,
    qty_min: str,
    qty_max: str,
    notional_min: str,
    status: str = "TRADING",
    price_min: str = "0",
    price_max: str = "0",
    notional_max: str = "0",
    stop_qty_max: str = "0",
    position_max: str = "0",
    orders_max: int = 0,
    stops_max: int = 0,
    amends_max: int = 0,
    reference_bound: Decimal = Decimal(0),
    checksum_places: tuple[int, int] = (0, 0),
    exchange_symbol: str = "",
    contract_size: Decimal = Decimal(1),
) -> Instrument:
    """Build an instrument from the decimal texts an exchange publishes.

    Without `exchange_symbol` it has Binance's.
    """
    unified = unify(symbol, market)
    base, quote = assets_of(unified)
    return Instrument(
        index=index,
        exchange=exchange,
        market=market,
        symbol=unified,
        exchange_symbol=exchange_symbol or base + quote + ("_PERP" if market == "coinm" else ""),
        base=base,
        quote=quote,
        tick_size=Decimal(tick_size),
        lot_size=Decimal(lot_size),
        qty_min=Decimal(qty_min),
        qty_max=Decimal(qty_max),
        notional_min=Decimal(notional_min),
        price=Scale(Decimal(tick_size)),
        qty=Scale(Decimal(lot_size)),
        status=status,
        price_min=Decimal(price_min),
        price_max=Decimal(price_max),
        notional_max=Decimal(notional_max),
        stop_qty_max=Decimal(stop_qty_max),
        position_max=Decimal(position_max),
        orders_max=orders_max,
        stops_max=stops_max,
        amends_max=amends_max,
        reference_bound=reference_bound,
        checksum_places=checksum_places,
        contract_size=contract_size,
    )


#: quote currencies by which BTCUSDT is cut in two, longest first
_QUOTES = ("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USD", "EUR", "TRY", "BTC", "ETH", "BNB")


#: BTCUSDT_260327: the last six are a date
_DATED: Final = re.compile(r"[-_]\d{6}$")


def unify(symbol: str, market: Market = "spot") -> str:
    """Return ccxt's unified symbol for BTC/USDT, BTC-USDT, BTC_USDT or BTCUSDT; raises ConfigError.

    A linear perpetual settles in its quote (BTC/USDT:USDT), an inverse one in its base (BTC/USD:BTC).
    What names its exchange as well, as in a replay of several (BTC/USDT@okx), is taken as it stands.
    """
    if "@" in symbol:
        return symbol
    plain, _, settles = symbol.strip().upper().partition(":")
    plain = plain.removesuffix("_PERP")
    if "-" in settles or _DATED.search(plain):
        raise ConfigError(
            f"{symbol} is a contract that ends on a date, and tickd trades spot and perpetuals only;"
            " write it like BTC/USDT for those"
        )
    for mark in "/-_":
        if mark in plain:
            base, _, quote = plain.partition(mark)
            break
    else:
        quote = next((q for q in _QUOTES if plain.endswith(q) and len(plain) > len(q)), "")
        base = plain[: len(plain) - len(quote)]
    if not base.isalnum() or not quote.isalnum():
        raise ConfigError(f"symbol {symbol!r} is not understood; write it like BTC/USDT")
    by_market = {"spot": "", "usdm": quote, "coinm": base}[market]
    if settles not in ("", by_market):
        raise ConfigError(
            f"{symbol} is none of market {market}: what settles in its quote is usdm, in its base coinm,"
            " in neither spot"
        )
    return f"{base}/{quote}:{by_market}".removesuffix(":")


def assets_of(symbol: str) -> tuple[str, str]:
    """Return (base, quote) of a unified symbol; raises ConfigError."""
    base, slash, quote = symbol.partition("@")[0].partition(":")[0].partition("/")
    if not (base and slash and quote):
        raise ConfigError(f"symbol {symbol!r} is not understood; write it like BTC/USDT")
    return base, quote


# --- in files -----------------------------------------------------------------------------------------------
def scale_text(scale: Any) -> str:
    """Return a Scale's step, for msgspec's `enc_hook`: the one type of an Instrument it does not know."""
    return str(scale.step)


def scale_of(_: type, text: Any) -> Scale:
    """Return the Scale of such a text, for msgspec's `dec_hook`; raises ValueError."""
    try:
        return Scale(Decimal(text))
    except (InvalidOperation, ConfigError) as error:
        raise ValueError(str(error)) from None
