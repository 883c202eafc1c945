"""Each exchange is asked over a real connection by the real ccxt, and answers as it documents."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from daemon.clock import SystemClock
from daemon.errors import EXIT_CONFIG, ConfigError, NetError, VenueError
from daemon.venues.ccxt_client import CcxtSettings
from daemon.venues.ccxt_rights import refuse_withdrawals

SECRET = base64.b64encode(b"s" * 64).decode()
OKX = "/api/v5/account/config"
#: exchange -> where it is asked, its answer with {} for the rights, rights to trade, rights to withdraw too
TOLD = {
    "binance": (
        "/sapi/v1/account/apiRestrictions",
        '{"ipRestrict": true, "enableSpotAndMarginTrading": true, "enableWithdrawals": {}}',
        "false",
        "true",
    ),
    "bybit": (
        "/v5/user/query-api",
        (
            '{"retCode": 0, "retMsg": "", "result": {"readOnly": 0, "ips": ["1.2.3.4"], "permissions": '
            '{"Spot": ["SpotTrade"], "Wallet": {}}}}'
        ),
        '["AccountTransfer", "SubMemberTransfer"]',
        '["AccountTransfer", "SubMemberTransfer", "Withdraw"]',
    ),
    "htx": (
        "/v2/user/api-key",
        '{"code": 200, "data": [{"status": "normal", "permission": {}, "ipAddresses": "1.2.3.4"}]}',
        '"readOnly,trade"',
        '"readOnly,trade,withdraw"',
    ),
    "kraken": (
        "/0/private/GetApiKeyInfo",
        '{"error": [], "result": {"api_key_name": "bot", "permissions": {}}}',
        '["query-funds", "modify-trades", "close-trades"]',
        '["query-funds", "modify-trades", "withdraw-funds"]',
    ),
    "kucoin": (
        "/api/v1/user/api-key",
        '{"code": "200000", "data": {"permission": {}, "ipWhitelist": "1.2.3.4"}}',
        '"General,Spot"',
        '"General, Spot, Withdrawal"',
    ),
    "okx": (
        OKX,
        '{"code": "0", "data": [{"perm": {}, "ip": "1.2.3.4"}]}',
        '"read_only,trade"',
        '"read_only,trade,withdraw"',
    ),
}
TOLD["myokx"] = TOLD["okxus"] = TOLD["okx"]
TOLD["bybiteu"] = TOLD["bybitid"] = TOLD["bybit"]
SILENT = ("bigone", "binanceus", "bingx", "bitget", "cryptocom", "gate", "gateeu", "mexc")
#: answers to the questions before it: what time it is, and whose key it is
BEFORE = {
    "/api/v3/time": {"serverTime": 1},
    "/v5/market/time": {"retCode": 0, "time": 1, "result": {"timeNano": "1"}},
    "/v1/common/timestamp": {"status": "ok", "data": 1},
    "/0/public/Time": {"error": [], "result": {"unixtime": 1}},
    "/api/v1/timestamp": {"code": "200000", "data": 1},
    "/api/v5/public/time": {"code": "0", "data": [{"ts": "1"}]},
    "/v2/user/uid": {"code": 200, "data": 4711},
}


@asynccontextmanager
async def exchange(path, status, text):
    """An exchange that answers one question; what it was asked is in the list."""
    asked = []

    async def answer(request):
        asked.append(request)
        if request.path in BEFORE:
            return web.json_response(BEFORE[request.path])
        if request.path != path:
            return web.json_response({}, status=404)
        return web.Response(status=status, text=text, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


def check(name, text, path=None, status=200, allowed=False):
    async def main():
        async with exchange(path or TOLD[name][0], status, text) as (url, asked):
            settings = CcxtSettings(
                exchange=name,
                name="t",
                credentials={"apiKey": "k" * 32, "secret": SECRET, "password": "p"},
                rest_url=url,
            )
            told = await refuse_withdrawals(settings, SystemClock(), None, allowed=allowed)
            return told, [request.path for request in asked]

    return asyncio.run(main())


@pytest.mark.parametrize("name", TOLD)
def test_a_key_that_only_trades_from_one_address_is_worth_no_word(name):
    path, answer, trades, _ = TOLD[name]
    told, asked = check(name, answer.replace("{}", trades))
    assert told == []
    assert asked.count(path) == 1


@pytest.mark.parametrize("name", TOLD)
def test_a_key_that_may_withdraw_is_refused_unless_it_is_allowed(name):
    _, answer, _, withdraws = TOLD[name]
    answer = answer.replace("{}", withdraws)
    with pytest.raises(ConfigError, match=f"may withdraw: make one at {name} that may only read") as caught:
        check(name, answer)
    assert caught.value.exit_code == EXIT_CONFIG
    assert check(name, answer, allowed=True)[0][0] == (
        "the venue's key may withdraw, which venue.allow_withdrawals allows"
    )


def test_an_older_key_of_kucoin_withdraws_by_another_name():
    answer = TOLD["kucoin"][1]
    with pytest.raises(ConfigError, match="may withdraw"):
        check("kucoin", answer.replace("{}", '"General,Trade,Transfer"'))
    assert check("kucoin", answer.replace("{}", '"General,Trade,FlexTransfers"'))[0] == []


@pytest.mark.parametrize("name", [name for name in TOLD if name != "kraken"])  # which does not tell
def test_a_key_that_works_from_anywhere_is_told(name):
    _, answer, trades, _ = TOLD[name]
    loose = answer.replace("{}", trades).replace("1.2.3.4", "*" if name.startswith("bybit") else "")
    (told,) = check(name, loose.replace('"ipRestrict": true', '"ipRestrict": false'))[0]
    assert told == f"the venue's key works from any address: restrict it to this host's at {name}"


@pytest.mark.parametrize(
    ("name", "rights"), [("okx", '"read_only"'), ("kraken", '["query-funds"]'), ("htx", '"readOnly"')]
)
def test_a_key_that_cannot_trade_is_told(name, rights):
    (told,) = check(name, TOLD[name][1].replace("{}", rights))[0]
    assert told == "the venue's key may not trade: every order will be rejected"


@pytest.mark.parametrize("name", SILENT)
def test_where_nobody_tells_a_person_has_to_say_that_it_was_looked_at(name):
    with pytest.raises(ConfigError) as caught:
        check(name, "{}", path="/")
    assert str(caught.value) == (
        f"{name} does not tell what a key may do: see there that this one cannot withdraw, and set "
        "venue.allow_withdrawals = true"
    )
    told, asked = check(name, "{}", path="/", allowed=True)
    assert told == [f"{name} does not tell what a key may do: that it cannot withdraw is not checked"]
    assert asked == []


def test_every_exchange_is_asked_or_known_to_be_silent():
    from daemon.venues.ccxt_exchanges import EXCHANGES

    assert TOLD.keys() | set(SILENT) == EXCHANGES.keys()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("okx", json.dumps({"code": "0", "data": []})),
        ("okx", json.dumps({"code": "0", "data": [{"perm": ""}]})),
        ("binance", "{}"),
        ("bybit", json.dumps({"retCode": 0, "result": {"readOnly": 0, "permissions": {}}})),
        ("kraken", json.dumps({"error": [], "result": []})),
        ("kucoin", json.dumps({"code": "200000", "data": None})),
    ],
)
def test_an_answer_that_does_not_say_is_no_permission(name, text):
    with pytest.raises(VenueError, match=f"^{name} was asked what the key may do, and did not tell: "):
        check(name, text)
    (told,), _ = check(name, text, allowed=True)
    assert told == f"{name} does not tell what a key may do: that it cannot withdraw is not checked"


def test_a_refused_key_and_a_failing_exchange_end_the_start():
    invalid = json.dumps({"code": "50113", "msg": "Invalid Sign"})
    with pytest.raises(ConfigError, match=r"^okx refuses the key: AuthenticationError: .*Invalid Sign"):
        check("okx", invalid)
    assert "is not checked" in check("okx", invalid, allowed=True)[0][0]
    with pytest.raises(NetError, match="and did not tell: ExchangeNotAvailable"):
        check("okx", "busy", status=503)


def test_an_exchange_on_this_machine_may_not_know_and_another_must(monkeypatch):
    unchecked = ["127.0.0.1 does not tell what a key may do: that it cannot withdraw is not checked"]
    assert check("okx", "{}", path="/elsewhere")[0] == unchecked
    monkeypatch.setattr("daemon.venues.ccxt_rights.LOOPBACK", ())
    with pytest.raises(ConfigError, match=r"^127.0.0.1 does not tell .* see there that this one cannot"):
        check("okx", "{}", path="/elsewhere")
    assert check("okx", "{}", path="/elsewhere", allowed=True)[0] == unchecked
