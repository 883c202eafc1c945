"""Every exchange of ccxt, told of by its documentation's words: accepted, or refused in a sentence.

There is no network: each is built from ccxt's own description of it, and makes its requests without sending.
"""

from __future__ import annotations

import asyncio
import base64

import ccxt.async_support
import pytest

from daemon.clock import SystemClock
from daemon.errors import ConfigError
from daemon.venues.ccxt_client import CcxtSettings, make_client
from daemon.venues.ccxt_exchanges import EXCHANGES, ExchangeForm
from daemon.venues.ccxt_ids import ClientIds
from daemon.venues.ccxt_requests import Requests
from daemon.venues.ccxt_start import check_features, check_rules, rehearse
from kernels.dtypes import REST, TARGET
from tests.daemon.venues.test_ccxt_start import ACCOUNT, BTC, market

IOC, GTX = {"timeInForce": "IOC"}, {"timeInForce": "GTX"}
SNAKE = {"time_in_force": "IOC"}


def form(id_, immediate, post_only=None, **more):
    length = {"uuid": 36, "number": 19}.get(more.get("id_kind", ""), 36)
    return ExchangeForm(id=id_, id_length=length, immediate=immediate, post_only=post_only or {}, **more)


#: what the documentation of some says; one that has no post-only orders is told of without
FORMS = {
    "alpaca": form("client_order_id", {"time_in_force": "ioc"}),
    "bitrue": form("newClientOrderId", IOC, id_answer="clientOrderId", id_query="origClientOrderId"),
    "bitso": form("origin_id", {"time_in_force": "immediateorcancel"}, {"time_in_force": "postonly"}),
    "bitstamp": form(
        "client_order_id", {"ioc_order": "True"}, {"moc_order": "True"}, id_query="client_order_id"
    ),
    "bullish": form(
        "clientOrderId",
        IOC,
        {"type": "POST_ONLY"},
        id_kind="number",
        options={"tradingAccountId": "7"},  # or ccxt looks for it with our id among its words
    ),
    "btcmarkets": form("clientOrderId", IOC, {"postOnly": True}),
    "coinbase": form("client_order_id", {"sor_limit_ioc": ""}, {"post_only": True}, rows=100),
    "coinbaseexchange": form("client_oid", SNAKE, {"post_only": True}, id_query="client_oid", id_kind="uuid"),
    "coinsph": form("newClientOrderId", IOC, id_answer="clientOrderId", id_query="origClientOrderId"),
    "deepcoin": form("clOrdId", {"ordType": "ioc"}, {"ordType": "post_only"}),
    "foxbit": form("client_order_id", SNAKE, {"post_only": True}),
    "hashkey": form("newClientOrderId", IOC, {"type": "LIMIT_MAKER"}, id_answer="clientOrderId", rows=100),
    "hitbtc": form("client_order_id", SNAKE, {"post_only": True}),
    "independentreserve": form("clientId", {"timeInForce": "Ioc"}, {"timeInForce": "Moc"}),
    "latoken": form("clientOrderId", {"condition": "IOC"}),
    "luno": form("client_order_id", SNAKE, {"post_only": True}),
    "phemex": form("clOrdID", {"timeInForce": "ImmediateOrCancel"}, {"timeInForce": "PostOnly"}, rows=100),
    "poloniex": form("clientOrderId", IOC, {"type": "LIMIT_MAKER"}),
    "tokocrypto": form("clientId", {"timeInForce": 2}, {"type": 7}),
    "toobit": form("newClientOrderId", IOC, {"type": "LIMIT_MAKER"}, id_answer="clientOrderId"),
    "weex": form("newClientOrderId", IOC, id_answer="clientOrderId", id_query="origClientOrderId"),
    "whitebit": form("clientOrderId", {"ioc": True}, {"postOnly": True}),
    "xt": form("clientOrderId", IOC, GTX, id_kind="alphanumeric"),
}
FORMS["bequant"] = FORMS["fmfwio"] = FORMS["hitbtc"]
#: of the others nothing is told; these stand in for what would be, so that it is seen what else is lacking
UNTOLD = form("client-id", {"ioc": True}, {"maker": True}, id_query="client-id", rows=100)

#: what each exchange is refused with, in the version of ccxt that is locked
REFUSED = {
    "ccxt has no spot markets of NAME": """
        apex binancecoinm binanceusdm blofin bydfi dydx extended grvt hibachi krakenfutures kucoinfutures
        modetrade mudrex paradex polymarket woofipro
    """,
    "ccxt cannot fetchOpenOrders at NAME": "bitflyer coinspot",
    "ccxt cannot fetchMyTrades at NAME": """
        bithumb btcbox cex cryptomus indodax mercado paymium upbit zaif
    """,
    "NAME has no immediate-or-cancel orders": """
        bit2c bitbank bitbns bitopro bitteam bittrade btcturk coincheck coinone digifinex hollaex lighter
        pacifica zebpay
    """,
    "ccxt neither lists NAME's ended orders nor": "bitso btse latoken poloniex",
    "ccxt does not read a client order id of NAME": "independentreserve luno",
    "ccxt does not send the price of": "phemex",  # in integers of a scale of its own
}


async def verdict(name):
    """Return what becomes of an exchange, as a sentence."""
    told = None if name in EXCHANGES else FORMS.get(name, UNTOLD)
    secrets = {
        "apiKey": "k" * 32, "secret": base64.b64encode(b"s" * 64).decode(), "password": "p", "uid": "7",
        "login": "l", "accountId": "7", "privateKey": "0x" + "11" * 32, "walletAddress": "0x" + "22" * 20,
    }  # fmt: skip
    settings = CcxtSettings(
        exchange=name, name="a", credentials=secrets, form=told or ExchangeForm(),
        post_only=told is None or (told is not UNTOLD and bool(told.post_only)),
    )  # fmt: skip
    whole = settings.find_form()
    client = make_client(settings, whole.options, SystemClock())

    async def wall(self, url, method="GET", headers=None, body=None):
        (answer,) = [answer for path, answer in ACCOUNT.items() if path in url]
        return answer

    try:
        if told is UNTOLD:
            with (
                pytest.MonkeyPatch.context() as patch
            ):  # it cannot be known what an order of theirs looks like
                patch.setattr("daemon.venues.ccxt_start._read_back", lambda client, form, theirs: None)
                check_features(client, ClientIds(whole, "a"), post_only=settings.post_only, stops=False)
            return "wants to be told of"
        check_features(client, ClientIds(whole, "a"), post_only=settings.post_only, stops=False)
        client.set_markets([market(name)])
        check_rules(client, BTC)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(client).__mro__[2], "fetch", wall)  # ccxt's own, below ours
            kinds = (TARGET, REST) if settings.post_only else (TARGET,)
            await rehearse(Requests(client, ClientIds(whole, "a")), BTC, "a-217000000-12", kinds)
    except ConfigError as error:
        return str(error)
    finally:
        await client.close()
    return "accepted"


def test_every_exchange_of_ccxt_is_accepted_or_refused_in_a_sentence():
    async def main():
        return {name: await verdict(name) for name in ccxt.async_support.exchanges}

    said = asyncio.run(main())
    expected = {
        name: sentence.replace("NAME", name) for sentence, names in REFUSED.items() for name in names.split()
    }
    for name in EXCHANGES.keys() | FORMS.keys() - expected.keys():
        expected[name] = "accepted"
    for name in said.keys() - expected.keys():
        expected[name] = "wants to be told of"
    assert {name: sentence[: len(expected[name])] for name, sentence in said.items()} == expected
    assert len(said) == 104
    assert list(said.values()).count("accepted") == 37
    assert list(said.values()).count("wants to be told of") == 19
