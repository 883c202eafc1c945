"""The exchange's own SDK at Spot: every call of our adapters, and those beside them, read by its models.

Where an answer does not fit its model the SDK logs it and hands over the raw dict: here that fails.
"""

from __future__ import annotations

import asyncio
import logging
import time

import pytest
from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.constants import TimeUnit
from binance_common.errors import (
    BadRequestError,
    ClientError,
    RateLimitBanError,
    TooManyRequestsError,
    UnauthorizedError,
)
from binance_sdk_spot.spot import Spot
from binance_sdk_spot.websocket_api.models import ExecutionReport, OutboundAccountPosition
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.clients.conftest import full_minute_soon
from tests.clients.strict import CONDITIONAL_IN_REPORTS, bare, check

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what it imports and calls

S = "BTCUSDT"
BUY = {
    "symbol": S,
    "side": "BUY",
    "type": "LIMIT",
    "time_in_force": "GTC",
    "quantity": 0.01,
    "price": 50_000.0,
}
SELL = BUY | {"side": "SELL", "price": 70_000.0}
STOP = SELL | {"type": "STOP_LOSS_LIMIT", "price": 40_000.0, "stop_price": 41_000.0}
MARKET = {"symbol": S, "side": "BUY", "type": "MARKET", "quantity": 0.01}
ACK = {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
#: of the rules: what there is only with other settings, and a count that answers alone have
RULES = {"sors", "count", "priceExponent", "qtyExponent", "multiplierExponent"}
#: one model for orders and for lists of orders
LIST_FIELDS = {
    *("contingencyType", "listStatusType", "listOrderStatus", "listClientOrderId", "transactionTime"),
    *("orders", "orderReports"),
}
#: of an answer to order.test that did not ask for them
RATES = {"standardCommissionForOrder", "specialCommissionForOrder", "taxCommissionForOrder", "discount"}


@pytest.fixture
def rest(spot):
    return spot.client("binance-sdk-spot")["client"].rest_api


@pytest.fixture(autouse=True)
def _parsed(caplog):
    """Fail where the SDK could not parse."""
    yield
    said = [record.getMessage() for record in caplog.get_records("call")]
    assert [text for text in said if "Failed to parse" in text or "declared types" in text] == []


def run(work):
    return asyncio.run(asyncio.wait_for(work, 60))


def code(error):
    return error.value.status_code


# --- REST ---
def test_the_rules_and_the_market_are_read(rest):
    info = check(rest.exchange_info(), missing=RULES)
    (rules,) = info.symbols
    assert {bare(one).filter_type for one in rules.filters} >= {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL"}
    assert [one.rate_limit_type for one in info.rate_limits] == [
        "REQUEST_WEIGHT", "ORDERS", "ORDERS", "RAW_REQUESTS",
    ]  # fmt: skip
    assert abs(check(rest.time()).server_time - time.time() * 1_000) < 5_000
    rest.ping()
    book = check(rest.depth(S, limit=5))
    assert float(book.bids[0][0]) < float(book.asks[0][0])
    for asked in (
        rest.get_trades(S), rest.historical_trades(S), rest.agg_trades(S), rest.avg_price(S),
        rest.ticker24hr(S), rest.ticker_price(S), rest.ticker_book_ticker(S), rest.klines(S, "1m"),
    ):  # fmt: skip
        assert check(asked)


def test_the_account_is_read_and_every_number_of_it_is_text(rest):
    account = check(rest.get_account())
    assert {one.asset for one in account.balances} >= {"BTC", "USDT"}
    check(rest.account_commission(S))
    counts = check(rest.rate_limit_order())
    assert [(one.interval, one.interval_num) for one in counts] == [("SECOND", 10), ("DAY", 1)]


def test_each_type_of_order_lives_its_life(rest):
    bought = check(rest.new_order(**MARKET))
    assert (bought.status, bought.executed_qty) == ("FILLED", "0.01000000")
    assert {one.commission_asset for one in bought.fills} == {"BTC"}
    sold = check(rest.new_order(S, "SELL", "MARKET", quote_order_qty=100.0))
    assert (sold.status, sold.orig_quote_order_qty) == ("FILLED", "100.00000000")
    assert 99 < float(sold.cummulative_quote_qty) <= 100
    resting = check(rest.new_order(**BUY))
    assert (resting.status, resting.fills) == ("NEW", [])
    acked = rest.new_order(**SELL, new_order_resp_type="ACK").data()
    assert {name for name, value in acked.to_dict().items() if value is not None} == ACK
    maker = check(
        rest.new_order(S, "BUY", "LIMIT_MAKER", quantity=0.01, price=50_000.0, new_order_resp_type="FULL")
    )
    stop = check(rest.new_order(**STOP, new_order_resp_type="RESULT"), {"fills"}, unknown={"stopPrice"})
    for tif in ("IOC", "FOK"):
        gone = check(rest.new_order(**(BUY | {"time_in_force": tif})))
        assert (gone.status, gone.executed_qty) == ("EXPIRED", "0.00000000")
        taken = check(rest.new_order(**(BUY | {"time_in_force": tif, "price": 70_000.0})))
        assert taken.status == "FILLED"
    ids = {one.order_id for one in (resting, acked, maker, stop)}
    assert {one.order_id for one in check(rest.get_open_orders(S))} >= ids
    assert check(rest.get_order(S, order_id=stop.order_id)).stop_price == "41000.00000000"
    for number in ids:
        gone = check(rest.delete_order(S, order_id=number), missing={"stopPrice", "icebergQty"})
        assert gone.status == "CANCELED"
    trades = check(rest.my_trades(S, order_id=bought.order_id))
    assert sum(float(one.qty) for one in trades) == pytest.approx(0.01)
    assert {one.order_id for one in check(rest.all_orders(S))} >= ids
    check(rest.new_order(**BUY))
    assert check(rest.delete_open_orders(S), missing=LIST_FIELDS | {"stopPrice"})
    assert check(rest.order_test(**BUY, compute_commission_rates=True)).standard_commission_for_order


def test_an_order_is_amended_and_replaced(rest):
    order = check(rest.new_order(**BUY))
    amended = check(
        rest.order_amend_keep_priority(S, 0.005, order_id=order.order_id), {"listStatus", "stopPrice"}
    )
    assert amended.amended_order.qty == "0.00500000"
    replaced = check(
        rest.order_cancel_replace(
            **BUY, cancel_replace_mode="STOP_ON_FAILURE", cancel_order_id=order.order_id
        ),
        missing={"stopPrice"},
    )
    assert (replaced.cancel_result, replaced.new_order_result) == ("SUCCESS", "SUCCESS")
    number = replaced.new_order_response.order_id
    # the client tells nothing of a 409 but its message
    with pytest.raises(ClientError, match="partially failed"):
        rest.order_cancel_replace(
            **(BUY | {"quantity": 5_000.0}), cancel_replace_mode="STOP_ON_FAILURE", cancel_order_id=number
        )
    with pytest.raises(BadRequestError) as error:
        rest.order_cancel_replace(**BUY, cancel_replace_mode="STOP_ON_FAILURE", cancel_order_id=number)
    assert code(error) == -2022


def refused(number, call, *args, **params):
    return pytest.param(number, call, args, params, id=f"{call}{number}")


@pytest.mark.parametrize(
    ("number", "call", "args", "params"),
    [
        refused(-1013, "new_order", **(BUY | {"quantity": 0.0002, "price": 20_000.0})),
        refused(-1013, "new_order", **(BUY | {"price": 50_000.001})),
        refused(-1102, "new_order", S, "BUY", "LIMIT", quantity=1.0),
        refused(-1121, "depth", "NOWHERE"),
        refused(-2010, "new_order", **(BUY | {"quantity": 100.0})),
        refused(-2010, "new_order", S, "BUY", "LIMIT_MAKER", quantity=0.01, price=70_000.0),
        refused(-2011, "delete_order", S, order_id=4_711),
        refused(-2013, "get_order", S, orig_client_order_id="nobody"),
        refused(-1021, "get_account", recv_window=0.001),
    ],
)
def test_a_refusal_bears_the_exchanges_code(rest, number, call, args, params):
    with pytest.raises(BadRequestError) as error:
        getattr(rest, call)(*args, **params)
    assert code(error) == number


def test_a_duplicate_of_an_open_order_is_refused(rest):
    rest.new_order(**BUY, new_client_order_id="twice")
    with pytest.raises(BadRequestError) as error:
        rest.new_order(**BUY, new_client_order_id="twice")
    assert code(error) == -2010
    check(rest.delete_order(S, orig_client_order_id="twice"), missing={"stopPrice", "icebergQty"})


def test_a_key_or_signature_that_is_wrong_is_refused(spot):
    def account(key, secret):
        return Spot(ConfigurationRestAPI(key, secret, base_path=spot.rest)).rest_api.get_account()

    with pytest.raises(BadRequestError) as error:
        account(spot.key, "wrong")
    assert code(error) == -1022
    with pytest.raises(UnauthorizedError) as error:
        account("nobody", spot.secret)
    assert code(error) == -2015


def test_headers_tell_what_is_used(rest):
    def used(answer):
        return {(one.rateLimitType, one.interval): one.count for one in answer.rate_limits}

    full_minute_soon(5)
    before = used(rest.ping())["REQUEST_WEIGHT", "MINUTE"]
    after = used(rest.new_order(**BUY))
    assert after["REQUEST_WEIGHT", "MINUTE"] == before + 1
    assert after["ORDERS", "SECOND"] >= 1
    assert after["ORDERS", "DAY"] >= after["ORDERS", "SECOND"]
    rest.delete_open_orders(S)


def again(ask, wanted, passing=()):
    """Return the error of a kind that asking again and again comes to."""
    for _ in range(300):
        try:
            ask()
        except wanted as error:
            return error
        except passing:
            pass
    pytest.fail(f"it never came to {wanted.__name__}")


@pytest.mark.heavy
def test_who_sends_too_much_is_told_to_wait_and_then_banned(start):
    rest = start("spot").client("binance-sdk-spot")["client"].rest_api
    error = again(lambda: rest.new_order(**BUY), TooManyRequestsError)
    assert (error.status_code, 0 < error.retry_after <= 10) == (-1015, True)
    full_minute_soon(10)
    error = again(rest.get_open_orders, TooManyRequestsError)  # of all symbols: 80
    assert (error.status_code, 0 < error.retry_after <= 60) == (-1003, True)
    banned = again(rest.ping, RateLimitBanError, TooManyRequestsError)
    assert (banned.status_code, 60 < banned.retry_after <= 121) == (-1003, True)


# --- the WebSocket API ---
@pytest.fixture(scope="module")
def keys():
    """An Ed25519 key: the private half for the client, the public one for the exchange."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(), public.decode()


def test_a_session_trades_and_hears_of_it_with_ed25519(start, keys, caplog):
    spot = start("spot", env={"TICKD_SIMULATOR_PUBLIC_KEY": keys[1]})
    config = ConfigurationWebSocketAPI(spot.key, private_key=keys[0], stream_url=spot.ws + "/ws-api/v3")
    api = Spot(config_ws_api=config).websocket_api

    async def work():
        await api.create_connection()
        for asked in (api.session_logon(), api.session_status()):
            status = check(await asked, unknown={"rateLimits"}).result
            assert status.api_key == spot.key
        heard = []
        stream = (await api.user_data_stream_subscribe()).stream
        stream.on("message", heard.append)
        order = check(await api.order_place(**BUY), missing={"stopPrice"}).result
        check(await api.order_status(S, order_id=order.order_id))
        assert check(await api.open_orders_status(S)).result
        amended = await api.order_amend_keep_priority(S, 0.005, order_id=order.order_id)
        check(amended, missing={"listStatus", "stopPrice"})
        replaced = await api.order_cancel_replace(
            S, "STOP_ON_FAILURE", **without_symbol(BUY), cancel_order_id=order.order_id
        )
        number = check(replaced, missing={"stopPrice"}).result.new_order_response.order_id
        check(await api.order_cancel(S, order_id=number), missing=LIST_FIELDS | {"stopPrice"})
        check(await api.order_place(**MARKET), missing={"stopPrice"})
        check(await api.order_test(**BUY), missing=RATES)
        for asked in (
            api.all_orders(S), api.my_trades(S), api.account_status(), api.account_commission(S),
            api.account_rate_limits_orders(), api.depth(S, limit=5), api.time(), api.ping(),
            api.trades_recent(S), api.trades_aggregate(S), api.klines(S, "1m"), api.ticker_book(S),
        ):  # fmt: skip
            assert check(await asked)
        await api.order_place(**BUY)
        check(await api.open_orders_cancel_all(S), missing=LIST_FIELDS | {"stopPrice"})
        await until(lambda: len(heard) >= 16)
        await stream.unsubscribe()
        gone = check(await api.session_logout(), {"apiKey", "authorizedSince"}, {"rateLimits"})
        assert gone.result.user_data_stream is False
        await api.close_connection()
        return [check(event, missing=CONDITIONAL_IN_REPORTS | {"N"}) for event in heard]

    events = [bare(event) for event in run(work())]
    assert [one.x for one in events if isinstance(one, ExecutionReport)] == [
        "NEW", "REPLACED", "CANCELED", "NEW", "CANCELED", "NEW", "TRADE", "NEW", "CANCELED",
    ]  # fmt: skip
    assert {type(one) for one in events} == {ExecutionReport, OutboundAccountPosition}
    assert caplog.records == []


def without_symbol(order):
    return {name: value for name, value in order.items() if name != "symbol"}


async def until(holds):
    while not holds():  # noqa: ASYNC110 - what is waited for is the client's to tell
        await asyncio.sleep(0.01)


def test_a_signature_subscribes_without_a_session_and_refusals_bear_their_codes(spot, caplog):
    api = spot.client("binance-sdk-spot")["client"].websocket_api

    async def work():
        await api.create_connection()
        heard = []
        subscribed = await api.user_data_stream_subscribe_signature()
        subscribed.stream.on("message", lambda event: heard.append(bare(event)))
        order = (await api.order_place(**BUY)).data().result
        await until(lambda: heard)
        assert (type(heard[0]), heard[0].i, heard[0].x) == (ExecutionReport, order.order_id, "NEW")
        caplog.set_level(logging.CRITICAL)  # it logs what it raises
        found = []
        for asked in (
            api.session_logon(),
            api.order_place(**(BUY | {"quantity": 0.0002, "price": 20_000.0})),
            api.order_place(**(BUY | {"quantity": 100.0})),
            api.order_cancel(S, order_id=4_711),
            api.order_status(S, order_id=4_711),
            api.account_status(recv_window=0.001),
            api.order_cancel_replace(
                S,
                "STOP_ON_FAILURE",
                **without_symbol(BUY | {"quantity": 5_000.0}),
                cancel_order_id=order.order_id,
            ),
        ):
            answer = (await asked).data()
            found.append(answer["error"]["code"] if isinstance(answer, dict) else answer.error["code"])
        await api.close_connection()
        return found

    assert run(work()) == [-4056, -1013, -2010, -2011, -2013, -1021, -2021]


# --- market streams ---
@pytest.mark.heavy  # the client waits half a second after each subscription
@pytest.mark.parametrize("unit", [None, TimeUnit.MICROSECOND])
def test_market_streams_are_read(spot, unit):
    config = ConfigurationWebSocketStreams(stream_url=spot.ws, time_unit=unit)
    streams = Spot(config_ws_streams=config).websocket_streams
    wanted = {
        "trade": {},
        "agg_trade": {},
        "book_ticker": {},
        "diff_book_depth": {"update_speed": "100ms"},
        "partial_book_depth": {"levels": "5"},
        "kline": {"interval": "1s"},
        "ticker": {},
        "mini_ticker": {},
        "avg_price": {},
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

    for name, event in run(work()).items():
        check(event)
        if name not in ("book_ticker", "partial_book_depth"):  # they tell no time
            assert abs(event.E / (1e6 if unit else 1e3) - time.time()) < 60
