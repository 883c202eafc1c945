"""nautilus_trader's live node, as small as one gets: quotes go in at one client, orders come out at another.

    node = Node(loop); await node.start()
    node.feed(bid, ask, bid_qty, ask_qty, marked=True)
    node.strategy_ns, node.order_ns     lists: when the strategy saw each marked tick, when the order arrived

The strategy answers each marked quote with a limit order, immediate or cancel, in turns to buy and to sell;
the execution client stamps the command as it comes and then reports it submitted, accepted and filled, so
that no order stays open. Only errors are logged, and nothing is stored or reconciled.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.config import (
    LiveDataClientConfig,
    LiveExecClientConfig,
    LiveExecEngineConfig,
    LiveRiskEngineConfig,
    TradingNodeConfig,
)
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.live.factories import LiveDataClientFactory, LiveExecClientFactory
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, LiquiditySide, OmsType, OrderSide, TimeInForce
from nautilus_trader.model.identifiers import (
    AccountId,
    ClientId,
    TradeId,
    Venue,
    VenueOrderId,
)
from nautilus_trader.model.objects import AccountBalance, Currency, Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

if TYPE_CHECKING:
    from nautilus_trader.execution.messages import SubmitOrder

_NAME: Final = "BINANCE"
_INSTRUMENT: Final = TestInstrumentProvider.btcusdt_binance()
_USDT: Final = Currency.from_str("USDT")
_READY_S: Final = 30.0


class Stamps:
    """What is shared by who feeds, decides and executes."""

    def __init__(self) -> None:
        self.strategy_ns: list[int] = []
        self.order_ns: list[int] = []
        self.data: Data | None = None


_STAMPS: Final = Stamps()


class Data(LiveMarketDataClient):
    """Takes quotes from whoever calls `take`."""

    async def _connect(self) -> None:
        self._instrument_provider.add(_INSTRUMENT)
        self._handle_data(_INSTRUMENT)
        _STAMPS.data = self

    async def _disconnect(self) -> None:
        pass

    async def _subscribe_quote_ticks(self, command: Any) -> None:
        pass

    def take(self, quote: QuoteTick) -> None:
        """Hand a quote to the node, as an adapter does with what came on its socket."""
        self._handle_data(quote)


class Execution(LiveExecutionClient):
    """Stamps each order as it comes, and fills it at its own price."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._set_account_id(AccountId(f"{_NAME}-001"))
        self._count = 0

    async def _connect(self) -> None:
        free = [Money(1e9, _USDT), Money(1e5, Currency.from_str("BTC"))]
        balances = [AccountBalance(one, Money(0, one.currency), one) for one in free]
        self.generate_account_state(balances, [], reported=True, ts_event=self._clock.timestamp_ns())

    async def _disconnect(self) -> None:
        pass

    def submit_order(self, command: SubmitOrder) -> None:
        """Take an order."""
        _STAMPS.order_ns.append(time.perf_counter_ns())
        super().submit_order(command)

    async def _submit_order(self, command: SubmitOrder) -> None:
        order = command.order
        self._count += 1
        names = (order.strategy_id, order.instrument_id, order.client_order_id)
        at_venue = VenueOrderId(str(self._count))
        self.generate_order_submitted(*names, self._clock.timestamp_ns())
        self.generate_order_accepted(*names, at_venue, self._clock.timestamp_ns())
        self.generate_order_filled(
            *names,
            at_venue,
            None,
            TradeId(str(self._count)),
            order.side,
            order.order_type,
            order.quantity,
            order.price,
            _USDT,
            Money(0, _USDT),
            LiquiditySide.TAKER,
            self._clock.timestamp_ns(),
        )


class DataFactory(LiveDataClientFactory):
    """Makes Data."""

    @staticmethod
    def create(loop: Any, name: str, config: Any, msgbus: Any, cache: Any, clock: Any) -> Data:
        """Return it."""
        return Data(loop, ClientId(name), Venue(name), msgbus, cache, clock, InstrumentProvider(), config)


class ExecutionFactory(LiveExecClientFactory):
    """Makes Execution."""

    @staticmethod
    def create(loop: Any, name: str, config: Any, msgbus: Any, cache: Any, clock: Any) -> Execution:
        """Return it."""
        return Execution(
            loop,
            ClientId(name),
            Venue(name),
            OmsType.NETTING,
            AccountType.CASH,
            None,
            InstrumentProvider(),
            msgbus,
            cache,
            clock,
            config,
        )


class Answering(Strategy):
    """Sends one order for each marked quote."""

    def __init__(self) -> None:
        super().__init__()
        self._buys = False
        self._qty = Quantity(0.01, _INSTRUMENT.size_precision)

    def on_start(self) -> None:
        """Listen to quotes."""
        self.subscribe_quote_ticks(_INSTRUMENT.id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        """Take a quote; an odd stamp asks for an order."""
        if not tick.ts_event & 1:
            return
        _STAMPS.strategy_ns.append(time.perf_counter_ns())
        self._buys = not self._buys
        side, price = (OrderSide.BUY, tick.ask_price) if self._buys else (OrderSide.SELL, tick.bid_price)
        order = self.order_factory.limit(
            _INSTRUMENT.id, side, self._qty, price, time_in_force=TimeInForce.IOC
        )
        self.submit_order(order)


class Node:
    """The node, fed by hand."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        config = TradingNodeConfig(
            logging=LoggingConfig(log_level="ERROR"),
            exec_engine=LiveExecEngineConfig(reconciliation=False, inflight_check_interval_ms=0),
            risk_engine=LiveRiskEngineConfig(max_order_submit_rate="100000/00:00:01"),
            data_clients={_NAME: LiveDataClientConfig()},
            exec_clients={_NAME: LiveExecClientConfig()},
        )
        self._node = TradingNode(config, loop)
        self._node.trader.add_strategy(Answering())
        self._node.add_data_client_factory(_NAME, DataFactory)
        self._node.add_exec_client_factory(_NAME, ExecutionFactory)
        self._node.build()
        self._task: asyncio.Task[None] | None = None
        self.strategy_ns, self.order_ns = _STAMPS.strategy_ns, _STAMPS.order_ns

    async def start(self) -> None:
        """Run it, until its strategy listens."""
        self._task = asyncio.create_task(self._node.run_async())
        async with asyncio.timeout(_READY_S):
            while not (self._node.trader.is_running and _STAMPS.data is not None):  # noqa: ASYNC110 - not ours
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)

    def quote(self, bid: float, ask: float, bid_qty: float, ask_qty: float, *, marked: bool) -> QuoteTick:
        """Return a quote of its own type, as an adapter would make it of a frame."""
        now_ns = time.time_ns()
        return QuoteTick(
            _INSTRUMENT.id,
            Price(bid, 2),
            Price(ask, 2),
            Quantity(bid_qty, 6),
            Quantity(ask_qty, 6),
            now_ns | 1 if marked else now_ns & ~1,
            now_ns,
        )

    def take(self, quote: QuoteTick) -> None:
        """Feed it."""
        assert _STAMPS.data is not None
        _STAMPS.data.take(quote)

    async def stop(self) -> None:
        """End it."""
        await self._node.stop_async()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_READY_S)
