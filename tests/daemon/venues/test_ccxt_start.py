"""What is asked of each exchange, made by ccxt and not sent: there is no network here."""

from __future__ import annotations

import asyncio
import base64
from decimal import Decimal

import pytest
from ccxt.base.errors import ExchangeError, RequestTimeout
from msgspec.structs import replace

from daemon.clock import SystemClock
from daemon.errors import ConfigError
from daemon.instruments import make_instrument
from daemon.venues.ccxt_client import CcxtSettings, make_client
from daemon.venues.ccxt_exchanges import EXCHANGES, STOPS, ExchangeForm
from daemon.venues.ccxt_ids import ClientIds
from daemon.venues.ccxt_requests import Requests
from daemon.venues.ccxt_start import check_features, check_rules, read_rules, rehearse
from kernels.dtypes import REST, STOP, TARGET
from tests.daemon.orders.conftest import btc_usdt

BTC = btc_usdt()
TOLD = ExchangeForm(
    id="newClientOrderId", id_length=36, id_answer="clientOrderId",
    immediate={"timeInForce": "IOC"}, post_only={"type": "LIMIT_MAKER"},
)  # fmt: skip
THEIR_SYMBOLS = {
    "BTC-USDT": ("okx", "myokx", "okxus", "kucoin"), "BTC_USDT": ("gate", "gateeu"), "btcusdt": ("htx",),
}  # fmt: skip
#: what some must know of the account first
ACCOUNT = {
    "/api/ua/v1/account/mode": {"code": "200000", "data": {"selfAccountMode": "CLASSIC"}},
    "/v1/account/accounts": {"status": "ok", "data": [{"id": 5, "type": "spot", "state": "working"}]},
    "/v5/user/query-api": {"retCode": 0, "result": {"uta": 1, "unified": 0}},
    "/v5/account/info": {"retCode": 0, "result": {"unifiedMarginStatus": 5}},
    "/api/v3/account/settings": {"code": "00000", "data": {"accountMode": "classic"}},
    "/api/v4/account/detail": {"user_id": 1},
    "/v1/users/hmac/login": {"token": "t", "authorizer": "a"},
}


def market(exchange, **changes):
    theirs = next((symbol for symbol, names in THEIR_SYMBOLS.items() if exchange in names), "BTCUSDT")
    types = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS"]
    no = dict.fromkeys(("margin", "swap", "future", "option", "contract"), False)
    return {
        "id": theirs, "lowercaseId": theirs.lower(), "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT",
        "baseId": "BTC", "quoteId": "USDT", "type": "spot", "spot": True, "active": True, **no,
        "settle": None, "linear": None, "inverse": None, "info": {"orderTypes": types},
        "precision": {"price": "0.01", "amount": "0.00001"},
        "limits": {
            "amount": {"min": "0.00001", "max": "9000"}, "cost": {"min": "5", "max": None},
            "price": {"min": None, "max": None}, "leverage": {},
        },
        **changes,
    }  # fmt: skip


def ids(form):
    return ClientIds(form, "ab")


def client_of(exchange, **changes):
    credentials = {"apiKey": "k" * 32, "secret": base64.b64encode(b"s" * 64).decode(), "password": "p"}
    settings = CcxtSettings(exchange=exchange, name="ab", credentials=credentials)
    client = make_client(settings, EXCHANGES[exchange].options, SystemClock())
    client.set_markets([market(exchange, **changes)])
    return client


def features_of(client, *, post_only=True, stops=False):
    check_features(client, ids(EXCHANGES[client.id]), post_only=post_only, stops=stops)


def rehearsed(client, instrument=BTC, *, stops=False, form=None):
    """Rehearse at an exchange that tells its account's mode and nothing else; return the requests."""

    async def wall(self, url, method="GET", headers=None, body=None):
        assert method == "GET", "a request that writes has left"
        for path, answer in ACCOUNT.items():
            if path in url:
                return answer
        raise AssertionError(f"{url} was asked for")

    async def main():
        requests = Requests(client, ids(form or EXCHANGES[client.id]))
        kinds = (TARGET, REST, STOP) if stops else (TARGET, REST)
        await rehearse(requests, instrument, "ab-217000000-12", kinds)
        return requests

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(client).__mro__[2], "fetch", wall)  # ccxt's own, below ours
        return asyncio.run(main())


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_each_exchange_is_sent_exact_orders_that_carry_our_id(exchange):
    client = client_of(exchange)
    check_features(client, ids(EXCHANGES[exchange]), post_only=True, stops=exchange in STOPS)
    check_rules(client, BTC)
    requests = rehearsed(client, stops=exchange in STOPS)
    asks = bool(EXCHANGES[exchange].id_query)
    assert requests.tells_by_id is asks
    assert requests.cancels_by_id is (asks and exchange not in {"gate", "gateeu"})
    assert requests.id_word == ("client_oid" if exchange == "cryptocom" else "clientOrderId")
    assert requests.words == Requests(client, ids(EXCHANGES[exchange])).words  # ccxt's own are enough


@pytest.mark.parametrize("exchange", sorted(set(EXCHANGES) - STOPS))
def test_an_exchange_without_stops_of_our_kind_is_refused_by_name(exchange):
    with pytest.raises(ConfigError, match=f"^{exchange} .*set venue.stops = false"):
        features_of(client_of(exchange), stops=True)


@pytest.mark.parametrize(
    ("lacking", "sentence"),
    [("IOC", "binance has no immediate-or-cancel orders"), ("PO", "binance has no post-only orders")],
)
def test_an_exchange_without_one_of_our_orders_is_refused_by_name(lacking, sentence):
    client = client_of("binance")
    client.features["spot"]["createOrder"]["timeInForce"][lacking] = False
    with pytest.raises(ConfigError, match=sentence):
        features_of(client)


def test_a_missing_password_is_told():
    client = client_of("okx")
    client.password = ""
    with pytest.raises(ConfigError, match=r"okx wants a password .* venue\.password_env"):
        features_of(client)


def test_secrets_that_an_exchange_wants_are_named():
    settings = CcxtSettings(exchange="hyperliquid", name="ab", credentials={"walletAddress": "0x1"})
    with pytest.raises(ConfigError, match=r"^hyperliquid wants privateKey: name .* in \[venue.credentials\]"):
        check_features(make_client(settings, {}, SystemClock()), ids(TOLD), post_only=True, stops=False)


def test_an_exchange_that_ccxt_does_not_have_is_told_with_the_nearest():
    settings = CcxtSettings(exchange="binanze", name="ab", credentials={})
    with pytest.raises(ConfigError, match="ccxt has no exchange 'binanze'; did you mean 'binance'"):
        make_client(settings, {}, SystemClock())


def test_an_exchange_without_post_only_orders_serves_who_rests_none():
    client = client_of("binance")
    client.features["spot"]["createOrder"]["timeInForce"]["PO"] = False
    with pytest.raises(ConfigError, match=r"set venue.post_only = false"):
        features_of(client)
    features_of(client, post_only=False)


def test_lists_of_an_unknown_length_are_asked_about():
    client = client_of("binance")
    client.features["spot"]["fetchOrders"] = {"limit": None}
    with pytest.raises(
        ConfigError, match=r"how many rows binance tells at once \(fetchOrders\); .* venue.form.rows"
    ):
        features_of(client)
    form = replace(EXCHANGES["binance"], rows=7)
    check_features(client, ids(form), post_only=True, stops=False)


def test_stops_that_are_not_known_to_keep_their_number_are_refused():
    client = client_of("binance")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daemon.venues.ccxt_start.STOPS", ())
        with pytest.raises(ConfigError, match="binance is not known to keep a stop's number"):
            check_features(client, ids(TOLD), post_only=True, stops=True)


def test_an_order_is_said_in_ccxt_s_words_where_they_are_the_exchange_s_and_else_in_its_own():
    requests = rehearsed(client_of("binance"), form=TOLD)
    assert (requests.id_word, requests.words[TARGET]) == ("clientOrderId", {"timeInForce": "IOC"})
    assert requests.words[REST] == {"postOnly": True}
    other = replace(TOLD, id="clOrdID", immediate={"timeInForce": "FOK"}, post_only={"maker": True})
    requests = rehearsed(client_of("binance"), form=other)
    assert (requests.id_word, requests.words) == ("clOrdID", {TARGET: other.immediate, REST: other.post_only})


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (
            {"id_prefix": "x-"},
            "does not send our id of an immediate-or-cancel order to binance as 'newClient",
        ),
        (
            {"immediate": {"type": "IOC"}},
            "does not say to binance that an order is an immediate-or-cancel order",
        ),
        ({"post_only": {"a": {"b": 1}}}, "does not say to binance that an order is a post-only order"),
    ],
)
def test_what_the_file_says_of_orders_must_be_in_the_requests(told, sentence):
    with pytest.raises(ConfigError, match=sentence):
        rehearsed(client_of("binance"), form=replace(TOLD, **told))


def test_an_exchange_that_ccxt_cannot_read_is_refused_by_name():
    client = client_of("binance")
    client.has["fetchMyTrades"] = False
    with pytest.raises(ConfigError, match="ccxt cannot fetchMyTrades at binance"):
        features_of(client)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"precision": {"price": "0.1", "amount": "0.00001"}},
            "tick size of BTC/USDT is 0.1 at binance and 0.01",
        ),
        ({"precision": {"price": "0.01", "amount": "0.0001"}}, "lot size of BTC/USDT is 0.0001"),
        ({"precision": {"price": None, "amount": "0.0001"}}, "has no fixed steps"),
        ({"spot": False}, "binance has no spot market BTC/USDT"),
        ({"limits": {"amount": {"min": "1", "max": None}, "cost": {}}}, "more narrowly than the feed"),
        ({"limits": {"amount": {}, "cost": {"min": "5.01"}}}, "more narrowly than the feed"),
        ({"limits": {"amount": {"max": "8999.9"}, "cost": {}}}, "more narrowly than the feed"),
    ],
)
def test_a_market_of_other_rules_than_the_feed_s_is_refused(change, sentence):
    client = client_of("binance", **change)
    with pytest.raises(ConfigError, match=sentence):
        check_rules(client, BTC)


def test_a_market_that_is_not_open_now_may_be_later():
    check_rules(client_of("binance", active=False), BTC)


def test_rules_are_exact_whatever_ccxt_counts_in():
    steps = {"price": "0.0000000000000000001", "amount": "1E-19"}
    rules = read_rules(market("binance", precision=steps), 4)
    assert (rules.tick_size, rules.lot_size) == (Decimal("1E-19"), Decimal("1E-19"))
    assert (rules.qty_min, rules.qty_max, rules.notional_min) == (Decimal("0.00001"), 9000, 5)
    places = read_rules(market("binance", precision={"price": "2", "amount": "0"}), 2)
    assert (places.tick_size, places.lot_size) == (Decimal("0.01"), Decimal(1))


def test_a_price_that_ccxt_rounds_is_found_before_it_is_sent():
    finer = make_instrument(
        0, "binance", "spot", "BTC/USDT",
        tick_size="0.001", lot_size="0.00001", qty_min="0.00001", qty_max="9000", notional_min="5",
    )  # fmt: skip
    with pytest.raises(
        ConfigError, match="does not send the price of an immediate-or-cancel order to binance exactly"
    ):
        rehearsed(client_of("binance"), finer)


def test_an_order_that_ccxt_cannot_make_is_named():
    client = client_of("binance")
    create = client.create_order

    async def refuse(symbol, kind, side, amount, price, params):
        if params.get("postOnly"):
            raise ValueError("no such order")
        return await create(symbol, kind, side, amount, price, params)

    client.create_order = refuse
    with pytest.raises(
        ConfigError, match=r"ccxt cannot make a post-only order for BTC/USDT at binance \(Value"
    ):
        rehearsed(client)


@pytest.mark.parametrize(
    ("lost", "sentence"),
    [
        ("timeInForce", "ccxt does not say to binance that an order is an immediate-or-cancel order"),
        ("postOnly", "ccxt does not say to binance that an order is a post-only order"),
    ],
)
def test_an_order_that_would_be_a_plain_one_is_found_before_it_is_sent(lost, sentence):
    client = client_of("binance")
    create = client.create_order

    async def forget(symbol, kind, side, amount, price, params):
        rest = {key: value for key, value in params.items() if key != lost}
        return await create(symbol, kind, side, amount, price, rest)

    client.create_order = forget
    with pytest.raises(ConfigError, match=sentence):
        rehearsed(client)


def test_an_order_without_our_id_is_found_before_it_is_sent():
    client = client_of("binance")
    create = client.create_order

    async def forget(symbol, kind, side, amount, price, params):
        rest = {key: value for key, value in params.items() if "lientOrderId" not in key}
        return await create(symbol, kind, side, amount, price, rest)

    client.create_order = forget
    with pytest.raises(ConfigError, match="does not send our id"):
        rehearsed(client)


def test_an_order_that_would_be_sent_by_get_is_refused():
    client = client_of("binance")

    async def create(symbol, kind, side, amount, price, params):
        await client.fetch(f"https://there/order?id={params['clientOrderId']}")

    client.create_order = create
    with pytest.raises(ConfigError, match=r"sends an immediate-or-cancel order to binance by GET, which may"):
        rehearsed(client)


@pytest.mark.parametrize(("error", "raised"), [(RequestTimeout, RequestTimeout), (ExchangeError, None)])
def test_whether_our_id_asks_is_not_decided_while_the_exchange_cannot_be_reached(error, raised):
    client = client_of("binance")

    async def fetch_order(number, symbol, params):
        raise error("there")

    client.fetch_order = fetch_order
    if raised is None:
        assert rehearsed(client).tells_by_id is False
        return
    with pytest.raises(raised):
        rehearsed(client)
