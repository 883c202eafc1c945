"""The listed symbols: their rules, and how the exchange publishes them.

Inside the simulator every price and amount is an integer of 1e-8 (`UNIT`), the precision of all of
Binance's assets: exact, and as wide as the protocol's texts.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from daemon.errors import ConfigError

if TYPE_CHECKING:
    from daemon.instruments import Instrument, Market

#: one whole of anything, in units
UNIT: Final = 10**8
ORDER_TYPES: Final = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)
STP_MODES: Final = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")


def units(value: Decimal | str) -> int:
    """Return a decimal in units; raises ConfigError when it has more than 8 places."""
    scaled = Decimal(value) * UNIT
    if scaled != scaled.to_integral_value():
        raise ConfigError(f"{value} has more than 8 decimals, which no asset of the simulated exchange has")
    return int(scaled)


def text(amount: int) -> str:
    """Return units as the exchange writes them: always 8 decimals."""
    whole, part = divmod(abs(amount), UNIT)
    return f"{'-' if amount < 0 else ''}{whole}.{part:08d}"


def notional(price: int, qty: int) -> int:
    """Return price times quantity, in units, rounded down."""
    return price * qty // UNIT


class Symbol(msgspec.Struct, kw_only=True):
    """One listed symbol. All amounts in units; `status` changes (BREAK, HALT)."""

    name: str
    base: str
    quote: str
    market: Market
    tick: int
    lot: int
    price_max: int = 1_000_000 * UNIT
    qty_min: int = 0
    qty_max: int = 9_000 * UNIT
    market_qty_max: int = 120 * UNIT
    notional_min: int = 5 * UNIT
    notional_max: int = 9_000_000 * UNIT
    multiplier_up: int = 5
    multiplier_down: str = "0.2"
    orders_max: int = 200
    stops_max: int = 5
    amends_max: int = 10
    position_max: int = 0  # of the base that an account may have; 0: no filter of it, as in most symbols
    status: str = "TRADING"

    @property
    def stream(self) -> str:
        """Its name in stream names."""
        return self.name.lower()

    def price_text(self, price: int) -> str:
        """Return a price as this market writes it: 8 decimals on spot, the tick's on futures."""
        if self.market == "spot":
            return text(price)
        return _short(price, self.tick)

    def qty_text(self, qty: int) -> str:
        """Return a quantity as this market writes it."""
        if self.market == "spot":
            return text(qty)
        return _short(qty, self.lot)


def _places(step: int) -> int:
    """Return how many decimals a step has."""
    return max(0, 8 - (len(str(step)) - len(str(step).rstrip("0"))))


def _short(amount: int, step: int) -> str:
    places = _places(step)
    whole = text(amount)
    return whole[: len(whole) - 8 + places] if places else whole.partition(".")[0]


_SPOT: Final = {
    "BTCUSDT": ("BTC", "USDT", "0.01", "0.00001", "5"),
    "ETHUSDT": ("ETH", "USDT", "0.01", "0.0001", "5"),
    "BNBUSDT": ("BNB", "USDT", "0.01", "0.001", "5"),
    "SOLUSDT": ("SOL", "USDT", "0.01", "0.001", "5"),
    "ETHBTC": ("ETH", "BTC", "0.00001", "0.0001", "0.0001"),
}
_USDM: Final = {
    "BTCUSDT": ("BTC", "USDT", "0.1", "0.001", "100"),
    "ETHUSDT": ("ETH", "USDT", "0.01", "0.001", "20"),
}


def list_symbol(instrument: Instrument) -> Symbol:
    """Return an instrument's symbol: with the catalogue's rules where it is in there, else its own."""
    known = {"spot": _SPOT, "usdm": _USDM}.get(instrument.market, {}).get(instrument.exchange_symbol)
    if known is not None:
        base, quote, tick, lot, least = known
    else:
        base, quote = instrument.base, instrument.quote
        tick, lot, least = str(instrument.tick_size), str(instrument.lot_size), str(instrument.notional_min)
    return Symbol(
        name=instrument.exchange_symbol,
        base=base,
        quote=quote,
        market=instrument.market,
        tick=units(tick),
        lot=units(lot),
        qty_min=units(lot),
        notional_min=units(least),
    )


def spot_listing(symbol: Symbol) -> dict[str, Any]:
    """Return the symbol's row of the spot exchangeInfo."""
    return {
        "symbol": symbol.name,
        "status": symbol.status,
        "baseAsset": symbol.base,
        "baseAssetPrecision": 8,
        "quoteAsset": symbol.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": list(ORDER_TYPES),
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _spot_filters(symbol),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": list(STP_MODES),
    }


def _spot_filters(symbol: Symbol) -> list[dict[str, Any]]:
    up, down = str(symbol.multiplier_up), symbol.multiplier_down
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": text(symbol.tick),
            "maxPrice": text(symbol.price_max),
            "tickSize": text(symbol.tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": text(symbol.qty_min),
            "maxQty": text(symbol.qty_max),
            "stepSize": text(symbol.lot),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": text(0),
            "maxQty": text(symbol.market_qty_max),
            "stepSize": text(0),
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": up,
            "bidMultiplierDown": down,
            "askMultiplierUp": up,
            "askMultiplierDown": down,
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": text(symbol.notional_min),
            "applyMinToMarket": True,
            "maxNotional": text(symbol.notional_max),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": symbol.orders_max},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": symbol.stops_max},
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": symbol.amends_max},
        *(
            [{"filterType": "MAX_POSITION", "maxPosition": text(symbol.position_max)}]
            if symbol.position_max
            else []
        ),
    ]


def futures_listing(symbol: Symbol) -> dict[str, Any]:
    """Return the symbol's row of the futures exchangeInfo."""
    margin = symbol.quote if symbol.market == "usdm" else symbol.base
    return {
        "symbol": symbol.name,
        "pair": symbol.base + symbol.quote,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status" if symbol.market == "usdm" else "contractStatus": symbol.status,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": symbol.base,
        "quoteAsset": symbol.quote,
        "marginAsset": margin,
        "pricePrecision": _places(symbol.tick),
        "quantityPrecision": _places(symbol.lot),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": symbol.price_text(symbol.tick),
                "maxPrice": symbol.price_text(symbol.price_max),
                "tickSize": symbol.price_text(symbol.tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": symbol.qty_text(symbol.qty_min),
                "maxQty": symbol.qty_text(symbol.qty_max),
                "stepSize": symbol.qty_text(symbol.lot),
            },
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": symbol.qty_text(symbol.qty_min),
                "maxQty": symbol.qty_text(symbol.market_qty_max),
                "stepSize": symbol.qty_text(symbol.lot),
            },
            {"filterType": "MAX_NUM_ORDERS", "limit": symbol.orders_max},
            {"filterType": "MIN_NOTIONAL", "notional": _short(symbol.notional_min, UNIT)},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "1.0500",
                "multiplierDown": "0.9500",
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }
