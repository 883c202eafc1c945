from __future__ import annotations

from urllib.parse import quote

import pytest

from daemon import redact as module
from daemon.redact import bare_url, redact, register, register_address


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_secrets", {})
    monkeypatch.setattr(module, "_words", {})


def test_a_registered_secret_is_masked_wherever_it_stands() -> None:
    register("canary+secret/1234=")
    assert redact("before canary+secret/1234= after") == "before *** after"
    assert redact("x?y=canary%2Bsecret%2F1234%3D&z=1") == "x?y=***&z=1"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("/api/v3/order?symbol=A&signature=abcdef&x=1", "/api/v3/order?symbol=A&signature=***&x=1"),
        ('{"apiKey":"abcdef","side":"BUY"}', '{"apiKey":"***","side":"BUY"}'),
        ("{'X-MBX-APIKEY': 'abcdef'}", "{'X-MBX-APIKEY': '***'}"),
        ("Authorization: Bearer abcdef", "Authorization: ***"),
        ("api_secret = abcdef", "api_secret = ***"),
        (
            "key -----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY----- end",
            "key *** end",
        ),
    ],
)
def test_what_follows_a_telling_name_is_masked(text: str, masked: str) -> None:
    assert redact(text) == masked


def test_ordinary_text_is_left_alone() -> None:
    text = "order tickd-1-7 rejected: Filter failure: LOT_SIZE (code -1013)"
    assert redact(text) == text


def test_a_secret_too_short_to_be_one_masks_nothing() -> None:
    register("BTC", word=True)
    register("USDT")
    assert redact("BTC/USDT") == "BTC/USDT"


@pytest.mark.parametrize("password", ["hunt3r", "a+b/c=", "p w d 1"])
def test_a_short_password_is_masked_where_it_stands_by_itself(password: str) -> None:
    register(password, word=True)
    text = f'{password}, "{password}" x={password}&y passphrase_{password} 9{password} {password}s'
    assert redact(text) == text.replace(password, "***", 4)
    assert redact(f"?p={quote(password, safe='')}&z=1") == "?p=***&z=1"


@pytest.mark.parametrize(
    ("url", "text", "masked"),
    [
        # whole; with what is shown of it; the path alone, and no longer one
        ("https://h.example/ab", "POST https://h.example/ab failed", "POST *** failed"),
        ("https://h.example/ab?k=1", "POST https://h.example/ab failed", "POST https://h.example*** failed"),
        ("https://h.example/ab?k=1", "path '/ab', /abc, x/ab", "path '***', /abc, x/ab"),
        ("https://h.example:8443/a", "h.example:8443/a, h.example/a", "h.example:8443***, h.example***"),
        ("https://me:pw-1@h.example/a", "https://h.example/a pw-1", "https://h.example*** ***"),
        ("https://h.example/a%20b", "h.example/a b and h.example/a%20b", "h.example*** and h.example***"),
        ("https://h.example/?x=1", "https://h.example/?x=1 and 1", "*** and 1"),
        ("https://h.example/p?x", "at h.example/p?x, x", "at h.example***?***, x"),
        ("https://h.example/", "h.example / 2 of BTC/USDT", "h.example / 2 of BTC/USDT"),
        ("https://h.example", "h.example / 2 of BTC/USDT", "h.example / 2 of BTC/USDT"),
    ],
)
def test_an_address_that_is_a_secret_is_masked_however_short_it_is_but_for_its_host(url, text, masked):
    register_address(url)
    assert redact(text) == masked


def test_an_address_is_shown_without_query_user_and_fragment() -> None:
    assert bare_url("wss://me:pw@host:9443/ws-api/v3?signature=abc#f") == "wss://host:9443/ws-api/v3"
    assert bare_url("http://me:pw@[::1]:8080") == "http://[::1]:8080"
