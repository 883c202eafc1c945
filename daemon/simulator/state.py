"""What an exchange must not forget, so that a process that is killed goes on where it was: lines of JSON.

Each change of an order, and each movement of a balance that no order made, is one line that leaves order,
fill and account in agreement: whatever of the file is there, up to a torn last line, is a whole exchange. The
first line says what this is and when it began; each begins with its checksum. Sans-IO: `Recorder` hands lines
to who writes them, `read` takes them in, `restore` brings back what they say, `save` says it all anew.

Kept are accounts, positions, orders, fills and conditional orders; not connections, listen keys, rate counts
and the public market, which goes on from its last price with higher ids.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import msgspec

from daemon.errors import DECODE_ERRORS, FileFormatError
from daemon.simulator.account import Balance
from daemon.simulator.order import Fill, Order
from daemon.simulator.symbols import text
from daemon.simulator.usdm.account import FuturesAccount
from daemon.simulator.usdm.exchange import FuturesExchange
from daemon.simulator.usdm.order import AlgoOrder, FuturesOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from daemon.simulator.account import Account
    from daemon.simulator.exchange import Exchange

FORMAT: Final = 2
_ORDER: Final = tuple(name for name in Order.__slots__ if name not in ("account", "symbol"))
_ALGO: Final = tuple(name for name in AlgoOrder.__slots__ if name not in ("account", "symbol", "order"))
_POSITION: Final = ("qty", "cost", "realised", "leverage", "isolated", "updated_ns")
_FILL: Final = ("trade_id", "price", "qty", "is_maker", "now_ns", "commission", "realised")


class Past(msgspec.Struct):
    """What a file of lines says; `prices` are the last ones, by market and symbol."""

    began_ns: int
    rows: list[dict[str, Any]]
    prices: dict[str, str]


class _Header(msgspec.Struct):
    format: int
    began_ns: int


def read(data: bytes, source: str) -> Past:
    """Read lines, without the torn one at the end; raises FileFormatError for a foreign or newer file."""
    first, *lines = data.split(b"\n")[:-1] or [b""]
    try:
        header = msgspec.json.decode(_opened(first), type=_Header)
    except DECODE_ERRORS:
        raise FileFormatError(f"{source} is no state of a simulated exchange: name another file") from None
    if header.format > FORMAT:
        raise FileFormatError(f"{source} is of format {header.format}, and this version reads {FORMAT}")
    rows: list[dict[str, Any]] = []
    prices: dict[str, str] = {}
    for number, line in enumerate(lines, start=2):
        try:
            rows.append(row := msgspec.json.decode(_opened(line)))
        except DECODE_ERRORS:
            raise FileFormatError(
                f"{source} is damaged in line {number}: restore it, or move it away"
            ) from None
        prices |= row.get("prices", {})
    if header.format == 1:
        _name_symbols(rows)
    return Past(header.began_ns, rows, prices)


def _name_symbols(rows: list[dict[str, Any]]) -> None:
    """Say of each fill in which symbol it was: format 1 did not, and numbered the orders of all as one."""
    symbols: dict[tuple[str, int], str] = {}
    for row in rows:
        if order := row.get("order"):
            symbols[row["market"], order["order_id"]] = order["symbol"]
        if fill := row.get("fill"):
            fill["symbol"] = symbols.get((row["market"], fill["order_id"]), "")


def header(began_ns: int) -> bytes:
    """Return the first line."""
    return _sealed(_Header(FORMAT, began_ns))


def _sealed(value: object) -> bytes:
    body = msgspec.json.encode(value)
    return b"%08x %b\n" % (crc32(body), body)


def _opened(line: bytes) -> bytes:
    """Return what a line says; raises ValueError when it is not what was written."""
    seal, _, body = line.partition(b" ")
    if int(seal, 16) != crc32(body):
        raise ValueError("the checksum does not hold")
    return body


class Recorder:
    """Writes a line for each change of the exchanges, before anybody is told of it."""

    def __init__(self, exchanges: Mapping[str, Exchange], write: Callable[[bytes], object]) -> None:
        self._write = write
        for market, exchange in exchanges.items():
            exchange.reporter.keep = partial(self._keep, market, exchange)

    def _keep(self, market: str, exchange: Exchange, account: Account, **what: Any) -> None:
        self._write(_line(market, exchange, account, **what))


def save(exchanges: Mapping[str, Exchange]) -> Iterator[bytes]:
    """Yield the lines that say it all."""
    for market, exchange in exchanges.items():
        line = partial(_line, market, exchange)
        for account in exchange.accounts.values():
            yield line(account)
        for order in exchange.registry.orders.values():
            yield line(order.account, order=order)
        for fill in exchange.registry.fills:
            yield line(fill.order.account, fill=fill)
        for algo in exchange.algos.values() if isinstance(exchange, FuturesExchange) else ():
            yield line(algo.account, algo=algo)


def _line(
    market: str,
    exchange: Exchange,
    account: Account,
    order: Order | None = None,
    fill: Fill | None = None,
    algo: AlgoOrder | None = None,
) -> bytes:
    row: dict[str, Any] = {
        "market": market,
        "account": account.name,
        "updated_ns": account.updated_ns,
        "execution_id": exchange.reporter.execution_id,
        "funds": {asset: [one.free, one.locked] for asset, one in account.balances.items()},
    }
    if isinstance(account, FuturesAccount):
        row["positions"] = {name: _values(one, _POSITION) for name, one in account.positions.items()}
    if order is not None:
        row["order"] = _values(order, _ORDER) | {"symbol": order.symbol.name}
        if isinstance(order, FuturesOrder):
            row["order"]["reduce_only"] = order.reduce_only
        last = exchange.markets[order.symbol.name].last_price
        row["prices"] = {f"{market}:{order.symbol.name}": text(last)} if last else {}
    if fill is not None:
        number, name = fill.order.order_id, fill.order.symbol.name
        row["fill"] = _values(fill, _FILL) | {"symbol": name, "order_id": number}
    if algo is not None:
        placed = None if algo.order is None else algo.order.order_id
        row["algo"] = _values(algo, _ALGO) | {"symbol": algo.symbol.name, "order_id": placed}
    return _sealed(row)


def _values(of: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(of, name) for name in names}


def restore(exchanges: Mapping[str, Exchange], past: Past) -> None:
    """Bring everything back, and let open orders meet the market as it is now."""
    for row in past.rows:
        exchange = exchanges.get(row["market"])
        if exchange is None:  # the exchange is started without that market this time
            continue
        account = exchange.accounts[row["account"]]
        exchange.reporter.execution_id = max(exchange.reporter.execution_id, row["execution_id"])
        account.updated_ns = row["updated_ns"]
        account.balances = {}
        for asset, (free, locked) in row["funds"].items():
            account.balances[asset] = balance = Balance(free)
            balance.locked = locked
        for name, values in row.get("positions", {}).items():
            if name in exchange.markets:
                assert isinstance(account, FuturesAccount)
                _set(account.position(exchange.markets[name].symbol), values)
        _restore_order(exchange, account, row)
    for exchange in exchanges.values():
        exchange.resume()


def _restore_order(exchange: Exchange, account: Account, row: dict[str, Any]) -> None:
    orders = exchange.registry.orders
    if (values := row.get("order")) and values["symbol"] in exchange.markets:
        symbol = exchange.markets[values.pop("symbol")].symbol
        order = orders.get((symbol.name, values["order_id"]))
        if order is None:
            order = exchange.make_order(symbol, account, values["order_id"], values["client_id"], 0)
            _set(order, values)
            exchange.registry.enter(order)
        else:
            exchange.registry.name(order, values["client_id"])
            _set(order, values)
        if not order.open:
            exchange.registry.close(order)
    if (values := row.get("fill")) and (of := orders.get((values.pop("symbol"), values.pop("order_id")))):
        fill = Fill(of, *(values[name] for name in _FILL[:5]))
        _set(fill, values)
        exchange.registry.fills.append(fill)
    if (values := row.get("algo")) and values["symbol"] in exchange.markets:
        assert isinstance(exchange, FuturesExchange)
        assert isinstance(account, FuturesAccount)
        symbol, placed = exchange.markets[values.pop("symbol")].symbol, values.pop("order_id")
        algo = AlgoOrder(symbol, account, values["algo_id"], values["client_id"], values["created_ns"])
        _set(algo, values)
        found = orders.get((symbol.name, placed))
        algo.order = found if isinstance(found, FuturesOrder) else None
        exchange.algos[algo.algo_id] = algo


def _set(of: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(of, name, value)
