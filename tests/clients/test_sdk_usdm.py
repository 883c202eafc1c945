"""The exchange's own SDK at USD-M: every call of our adapters, and those beside them, read by its models."""

from __future__ import annotations

import asyncio
import logging

import pytest
from binance_common.errors import BadRequestError

from tests.clients.strict import bare, check

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what it imports and calls

S = "BTCUSDT"
MARKET_SELL = {"symbol": S, "side": "SELL", "type": "MARKET", "quantity": 1.0}
#: what orders have that this simulator never sets
ORDER = {"activatePrice", "priceRate", "pair", "modifyId", "cumBase"}
#: what placing and cancelling tell beside their models: they are in the exchange's own samples
MORE = {"avgPrice", "cumQuote"}
ALGO = {
    *("icebergQuantity", "tpOrderType", "tpTriggerPrice", "tpPrice", "slTriggerPrice", "slPrice"),
    *("activatePrice", "callbackRate", "actualType", "actualQty"),
}


@pytest.fixture
def client(usdm):
    return usdm.client("binance-sdk-derivatives-trading-usds-futures")["client"]


@pytest.fixture
def rest(client):
    return client.rest_api


@pytest.fixture
def low(rest):
    """A price that is not reached."""
    return float(round(float(rest.symbol_price_ticker(S).data().actual_instance.price) * 0.97))


@pytest.fixture(autouse=True)
def _parsed(caplog):
    """Fail where the SDK could not parse."""
    yield
    said = [one.getMessage() for one in caplog.get_records("call") if one.levelno >= logging.WARNING]
    assert said == []


def rests(price, **more):
    return {"symbol": S, "side": "BUY", "type": "LIMIT", "time_in_force": "GTX", "quantity": 0.01} | {
        "price": price, **more,
    }  # fmt: skip


def test_the_rules_and_the_market_are_read(rest):
    of_other_filters = {
        *("maxQty", "minQty", "stepSize", "limit", "notional", "multiplierUp", "multiplierDown"),
        *("multiplierDecimal", "minPrice", "maxPrice", "tickSize"),
    }
    (rules,) = check(rest.exchange_information(), missing=of_other_filters | {"settlePlan"}).symbols
    assert (rules.contract_type, rules.status) == ("PERPETUAL", "TRADING")
    check(rest.check_server_time())
    assert check(rest.order_book(S, limit=5)).bids
    for asked in (
        rest.symbol_price_ticker(S), rest.symbol_price_ticker_v2(S), rest.symbol_order_book_ticker(S),
        rest.ticker24hr_price_change_statistics(S), rest.mark_price(S), rest.kline_candlestick_data(S, "1m"),
    ):  # fmt: skip
        assert check(asked)
    check(rest.recent_trades_list(S), missing={"isRPITrade"})
    check(rest.compressed_aggregate_trades_list(S), missing={"nq"})


def test_an_account_is_set_up_and_read(rest):
    assert check(rest.change_initial_leverage(S, 5)).leverage == 5
    (setup,) = check(rest.symbol_configuration(S))
    other = "CROSSED" if setup.margin_type == "ISOLATED" else "ISOLATED"
    check(rest.change_margin_type(S, other))
    assert check(rest.symbol_configuration(S))[0].margin_type == other
    check(rest.change_margin_type(S, setup.margin_type))
    assert check(rest.get_current_position_mode()).dual_side_position is False
    assert check(rest.get_current_multi_assets_mode()).multi_assets_margin is False
    check(rest.notional_and_leverage_brackets(S), missing={"notionalCoef"})
    for asked in (
        rest.futures_account_configuration(), rest.futures_account_balance_v2(),
        rest.futures_account_balance_v3(), rest.position_information_v2(S),
    ):  # fmt: skip
        assert check(asked)
    check(rest.user_commission_rate(S), missing={"rpiCommissionRate"})
    check(rest.account_information_v3(), unknown={"marginAvailable"})


def test_orders_rest_change_fill_and_are_found_again(rest, low):
    order = check(rest.new_order(**rests(low)), missing=ORDER, unknown=MORE)
    assert order.status == "NEW"
    number = order.order_id
    assert check(rest.query_order(S, order_id=number), missing=ORDER).time_in_force == "GTX"
    changed = check(rest.modify_order(S, "BUY", 0.02, low - 1, order_id=number), missing=ORDER, unknown=MORE)
    assert (changed.order_id, changed.orig_qty) == (number, "0.020")
    assert number in {one.order_id for one in check(rest.current_all_open_orders(S), missing=ORDER)}
    assert check(rest.auto_cancel_all_open_orders(S, 60_000)).countdown_time == "60000"
    gone = check(rest.cancel_order(S, order_id=number), missing=ORDER, unknown=MORE)
    assert gone.status == "CANCELED"
    market = {"symbol": S, "type": "MARKET", "quantity": 0.01, "new_order_resp_type": "RESULT"}
    bought = check(rest.new_order(side="BUY", **market), missing=ORDER, unknown=MORE)
    assert bought.status == "FILLED"
    (held,) = check(rest.position_information_v3(S))
    assert held.position_amt == "0.010"
    check(rest.account_information_v3(), unknown={"marginAvailable"})
    sold = check(rest.new_order(side="SELL", **market, reduce_only="true"), missing=ORDER, unknown=MORE)
    trades = check(rest.account_trade_list(S), missing={"baseQty", "marginAsset", "pair"})
    assert {one.order_id for one in trades} >= {bought.order_id, sold.order_id}
    assert number in {one.order_id for one in check(rest.all_orders(S), missing=ORDER)}
    kinds = {one.income_type for one in check(rest.get_income_history(S))}
    assert {"COMMISSION", "REALIZED_PNL"} <= kinds
    check(rest.cancel_all_open_orders(S))


def test_conditional_orders_wait_apart(rest, low):
    stop = {"algo_type": "CONDITIONAL", "symbol": S, "side": "SELL", "type": "STOP_MARKET", "quantity": 0.01}
    placed = check(
        rest.new_algo_order(**stop, trigger_price=low), missing=ALGO, unknown={"actualOrderId", "actualPrice"}
    )
    number = placed.algo_id
    assert check(rest.query_algo_order(algo_id=number), missing=ALGO).algo_status == "NEW"
    waiting = check(rest.current_all_algo_open_orders(symbol=S), missing=ALGO)
    assert number in {one.algo_id for one in waiting}
    assert check(rest.cancel_algo_order(algo_id=number)).code == "200"
    assert check(rest.query_all_algo_orders(S), missing=ALGO)[-1].algo_status == "CANCELED"


@pytest.mark.parametrize(
    ("number", "call", "params"),
    [
        (-1111, "new_order", rests(50_000.123456789)),
        (-2019, "new_order", rests(60_000.0, quantity=100.0, time_in_force="GTC")),
        (-2022, "new_order", MARKET_SELL | {"reduce_only": "true"}),
        (-5022, "new_order", rests(62_000.0)),
        (-4164, "new_order", rests(59_000.0, quantity=0.001)),
        (-2011, "cancel_order", {"symbol": S, "order_id": 4_711}),
        (-2013, "query_order", {"symbol": S, "order_id": 4_711}),
        (-4120, "new_order", MARKET_SELL | {"type": "STOP_MARKET"}),
        (-4046, "change_margin_type", {"symbol": S, "margin_type": "same"}),
    ],
)  # fmt: skip
def test_a_refusal_bears_the_exchanges_code(rest, number, call, params):
    if params.get("margin_type"):
        params["margin_type"] = rest.symbol_configuration(S).data()[0].margin_type
    with pytest.raises(BadRequestError) as error:
        getattr(rest, call)(**params)
    assert error.value.status_code == number


def run(work):
    return asyncio.run(asyncio.wait_for(work, 60))


async def until(holds):
    while not holds():  # noqa: ASYNC110 - what is waited for is the client's to tell
        await asyncio.sleep(0.01)


def test_a_session_trades_and_a_listen_key_tells_of_it(client, rest, low):
    key = check(rest.start_user_data_stream()).listen_key
    assert check(rest.keepalive_user_data_stream()).listen_key == key

    async def work():
        api, streams = client.websocket_api, client.websocket_streams
        await api.create_connection()
        await streams.create_connection()
        heard = []
        (await streams.user_data(key)).on("message", lambda event: heard.append(bare(event)))
        order = check(await api.new_order(**rests(low)), missing=ORDER).result
        check(await api.query_order(S, order_id=order.order_id), missing=ORDER)
        check(await api.modify_order(S, "BUY", 0.02, low, order_id=order.order_id), missing=ORDER)
        check(await api.cancel_order(S, order_id=order.order_id), missing=ORDER)
        await until(lambda: len(heard) >= 3)
        check(await api.new_order(S, "BUY", "MARKET", quantity=0.01), missing=ORDER)
        stop = await api.new_algo_order(
            "CONDITIONAL", S, "SELL", "STOP_MARKET", quantity=0.01, trigger_price=low
        )
        check(await api.cancel_algo_order(algo_id=check(stop, missing=ALGO).result.algo_id))
        for asked in (
            api.account_information_v2(), api.futures_account_balance_v2(), api.position_information_v2(),
        ):  # fmt: skip
            check(await asked, unknown={"marginAvailable"})
        check(await api.new_order(S, "SELL", "MARKET", quantity=0.01), missing=ORDER)
        await until(lambda: len(heard) >= 11)
        await streams.close_connection()
        await api.close_connection()
        return heard

    kinds = [type(event).__name__ for event in run(work())]
    assert kinds[:3] == ["OrderTradeUpdate"] * 3
    assert set(kinds) >= {"OrderTradeUpdate", "AccountUpdate", "AlgoUpdate"}


@pytest.mark.heavy  # the client waits half a second after each subscription
def test_market_streams_are_read(client):
    streams = client.websocket_streams
    wanted = {
        "aggregate_trade_streams": {},
        "individual_symbol_book_ticker_streams": {},
        "diff_book_depth_streams": {"update_speed": "100ms"},
        "partial_book_depth_streams": {"levels": 5},
        "kline_candlestick_streams": {"interval": "1m"},
        "mark_price_stream": {"update_speed": "1s"},
    }

    async def work():
        await streams.create_connection()
        got = {}
        for name, params in wanted.items():
            stream = await getattr(streams, name)("btcusdt", **params)
            stream.on("message", lambda event, name=name: got.setdefault(name, event))
        await until(lambda: len(got) == len(wanted))
        await streams.close_connection()
        return got

    for event in run(work()).values():
        check(event, missing={"nq", "st", "ps"})
