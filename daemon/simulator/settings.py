"""The settings of a simulated exchange, and the parts built from them; reads nothing but the tape."""

from __future__ import annotations

from functools import partial
from pathlib import Path  # noqa: TC003 - msgspec reads the annotation
from typing import TYPE_CHECKING, Final

import msgspec

from daemon.errors import ConfigError
from daemon.instruments import Market, make_instrument, unify
from daemon.simulator import tape
from daemon.simulator.account import Account
from daemon.simulator.auth import Key, Keyring
from daemon.simulator.exchange import Exchange
from daemon.simulator.fault import Fault  # noqa: TC001 - msgspec reads the annotation
from daemon.simulator.gateway import Gateway
from daemon.simulator.market import MarketSettings, SyntheticMarket
from daemon.simulator.publisher import Publisher
from daemon.simulator.rates import Limits
from daemon.simulator.symbols import UNIT, list_symbol, units
from daemon.simulator.synthetic import SyntheticDriver
from daemon.simulator.usdm.account import FuturesAccount
from daemon.simulator.usdm.exchange import FuturesExchange
from daemon.simulator.usdm.public import mark_event
from daemon.simulator.userstream import ListenKeys

if TYPE_CHECKING:
    from collections.abc import Collection
    from random import Random

    from daemon.instruments import Instrument
    from daemon.seams import Clock
    from daemon.simulator.marketdata import MarketData

#: where synthetic markets start
PRICES: Final = {"BTC": "60000", "ETH": "2500", "BNB": "550", "SOL": "150"}
#: events a second of the synthetic market's default rates
RATE_DEFAULT: Final = 200.0
#: past this the synthetic market's trades set each other off without end
RATE_MAX: Final = 500.0
#: of the USD-M front, unless others are asked for
FUTURES_LIMITS: Final = Limits(weight_1m=2_400, orders_10s=300, orders_1m=1_200, orders_1d=0, messages_1s=10)
ACCOUNT: Final = "main"
BALANCES: Final = {"USDT": "100000", "BTC": "1", "ETH": "20"}


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How `tickd simulate` was asked to run; `speed` 0 is as fast as it goes, `port` 0 any free one."""

    market: Market = "spot"
    symbols: tuple[str, ...] = ("BTC/USDT", "ETH/USDT")
    tape: Path | None = None
    speed: float = 1.0
    expect: tuple[str, ...] = ()  # streams that start the tape once all are subscribed; empty: the tape's own
    seed: int = 1
    rate: float = RATE_DEFAULT  # events a second and symbol of the synthetic market
    host: str = "127.0.0.1"
    port: int = 0
    futures_port: int = 0
    key: Key
    balances: dict[str, str] = msgspec.field(default_factory=lambda: dict(BALANCES))
    fee_maker: str = "0.001"
    fee_taker: str = "0.001"
    futures_fee_maker: str = "0.0002"
    futures_fee_taker: str = "0.0005"
    funding_s: float = 28_800.0  # between two fundings of the futures
    limits: Limits = Limits()
    lifetime_s: float = 86_400.0  # of a websocket connection
    faults: tuple[Fault, ...] = ()
    listen_keys: bool = False  # of spot, as it had them until 2026-02-20
    state: Path | None = None  # where accounts and orders are kept, and taken up by the next start
    prices: dict[str, str] = {}  # where synthetic markets start, by market:symbol
    first_id: int = 0  # of synthetic markets


class World(msgspec.Struct):
    """A simulated exchange, whole: its fronts, and what drives its markets."""

    gateways: dict[str, Gateway]
    player: tape.TapePlayer | None
    drivers: list[SyntheticDriver]
    expect: tuple[str, ...]


def build(settings: SimulatorSettings, clock: Clock, random: Random) -> World:
    """Return the exchange; raises ConfigError or FileFormatError with a sentence."""
    if settings.speed < 0:
        raise ConfigError(f"a tape's speed must be at least 0 (0: as fast as it goes), not {settings.speed}")
    if not 0 < settings.rate <= RATE_MAX:
        raise ConfigError(
            f"a synthetic market's rate must be above 0 and at most {RATE_MAX}, not {settings.rate}"
        )
    if not settings.funding_s >= 1:
        raise ConfigError(f"fundings must be at least a second apart, not {settings.funding_s:g}")
    return _with_tape(settings, clock, random) if settings.tape else _synthetic(settings, clock, random)


def _gateways(
    settings: SimulatorSettings, instruments: list[Instrument], clock: Clock, random: Random
) -> dict[str, Gateway]:
    """Return the spot front, and the futures front of the instruments' market where that is another."""
    funds = {asset: units(amount) for asset, amount in settings.balances.items()}
    account = Account(ACCOUNT, funds, units(settings.fee_maker), units(settings.fee_taker), settings.limits)
    keyring = Keyring([settings.key])
    spot = [_spot_twin(instrument) for instrument in instruments]
    exchange = Exchange([list_symbol(one) for one in spot], [account], clock, random)
    if settings.listen_keys:
        exchange.listen_keys = ListenKeys(exchange.new_id)
    fronts = {"spot": Gateway(exchange, "spot", keyring, settings.limits)}
    market = instruments[0].market
    if market == "usdm":
        fronts[market] = _futures_front(settings, instruments, keyring, clock, random)
    elif market != "spot":
        others = Exchange([list_symbol(one) for one in instruments], [], clock, random)
        fronts[market] = Gateway(others, market, keyring, settings.limits)
    return fronts


def _futures_front(
    settings: SimulatorSettings, instruments: list[Instrument], keyring: Keyring, clock: Clock, random: Random
) -> Gateway:
    """Return the USD-M front: a wallet of its own, with what the configured balances have of the quotes."""
    limits = FUTURES_LIMITS if settings.limits == Limits() else settings.limits
    funds = {one.quote: units(settings.balances.get(one.quote, "0")) for one in instruments}
    fees = units(settings.futures_fee_maker), units(settings.futures_fee_taker)
    account = FuturesAccount(ACCOUNT, funds, *fees, limits)
    symbols = [list_symbol(one) for one in instruments]
    exchange = FuturesExchange(symbols, [account], clock, random, int(settings.funding_s * 1e9))
    return Gateway(exchange, "usdm", keyring, limits)


def _spot_twin(instrument: Instrument) -> Instrument:
    """Return the spot instrument of the same pair: orders are placed there whatever market feeds it."""
    if instrument.spot:
        return instrument
    return make_instrument(
        instrument.index,
        instrument.exchange,
        "spot",
        f"{instrument.base}/{instrument.quote}",
        tick_size=str(instrument.tick_size),
        lot_size=str(instrument.lot_size),
        qty_min=str(instrument.qty_min),
        qty_max=str(instrument.qty_max),
        notional_min=str(instrument.notional_min),
    )


def _with_tape(settings: SimulatorSettings, clock: Clock, random: Random) -> World:
    assert settings.tape is not None
    facts = tape.scan(settings.tape)
    instrument = facts.instrument
    fronts = _gateways(settings, [instrument], clock, random)
    front = fronts[instrument.market]
    market = next(iter(front.exchange.markets.values()))
    publisher = _publisher(front, market, facts.streams)
    markets = [market]
    # COIN-M counts in contracts of 100 USD, which are no quantity of the coin: it moves no spot listing
    if instrument.market == "usdm":
        markets += fronts["spot"].exchange.markets.values()
    player = tape.TapePlayer(settings.tape, facts, front.hub, publisher, markets)
    return World(fronts, player, [], settings.expect or facts.streams)


def _publisher(front: Gateway, market: MarketData, native: Collection[str] = ()) -> Publisher:
    publisher = Publisher(front.hub, market, native)
    if isinstance(front.exchange, FuturesExchange):
        publisher.mark = partial(mark_event, front.exchange)
    return publisher


def _synthetic(settings: SimulatorSettings, clock: Clock, random: Random) -> World:
    instruments = [
        _catalogued(index, settings.market, symbol) for index, symbol in enumerate(settings.symbols)
    ]
    fronts = _gateways(settings, instruments, clock, random)
    front = fronts[settings.market]
    scale = settings.rate / RATE_DEFAULT
    base = MarketSettings()
    drivers = []
    for instrument, market in zip(instruments, front.exchange.markets.values(), strict=True):
        rates = MarketSettings(
            seed=settings.seed,
            price=settings.prices.get(
                f"{settings.market}:{instrument.exchange_symbol}", PRICES.get(instrument.base, "100")
            ),
            first_id=settings.first_id,
            trades_per_s=base.trades_per_s * scale,
            quotes_per_s=base.quotes_per_s * scale,
            books_per_s=base.books_per_s * scale,
        )
        source = SyntheticMarket(instrument, rates, clock.now_ns())
        markets = [market]
        if settings.market != "spot":
            markets.append(fronts["spot"].exchange.markets[_spot_twin(instrument).exchange_symbol])
        drivers.append(SyntheticDriver(source, markets, _publisher(front, market)))
    return World(fronts, None, drivers, ())


def _catalogued(index: int, market: Market, symbol: str) -> Instrument:
    """Return an instrument on the listing's own grid."""
    plain = make_instrument(
        index,
        "binance",
        market,
        unify(symbol, market),
        tick_size="0.01",
        lot_size="0.001",
        qty_min="0.001",
        qty_max="9000",
        notional_min="5",
    )
    listed = list_symbol(plain)
    return make_instrument(
        index,
        "binance",
        market,
        plain.symbol,
        tick_size=_decimal(listed.tick),
        lot_size=_decimal(listed.lot),
        qty_min=_decimal(listed.qty_min),
        qty_max=_decimal(listed.qty_max),
        notional_min=_decimal(listed.notional_min),
    )


def _decimal(amount: int) -> str:
    whole, part = divmod(amount, UNIT)
    return f"{whole}.{part:08d}".rstrip("0").rstrip(".")
