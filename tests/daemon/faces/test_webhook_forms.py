"""What chats and programs are posted."""

from __future__ import annotations

import json
import re
import tomllib
from typing import get_args, get_type_hints

import pytest

from daemon.config_sinks import WebhookConfig
from daemon.faces.mqtt_messages import AlertEvent, AlertsMessage, FillEvent, FillsMessage, OrdersMessage
from daemon.faces.webhook_forms import FORMS, in_words

FILL = FillEvent(
    seq=1, now_ns=2, client_order_id="one-1-1", venue_order_id="9", trade_id=3, strategy="ema_cross",
    symbol="BTC/USDT", side="buy", price="60000.00", qty="0.00200", maker=True, fee="0.0001", fee_asset="BNB",
    exch_ns=4,
)  # fmt: skip
HEAD = {"name": "one", "run": 1, "now_ns": 5}


def alert(**more):
    return AlertEvent(
        **{"seq": 2, "now_ns": 6, "kind": "gap", "text": "", "source": "", "halted": None, **more}
    )


def alerts(*events):
    return AlertsMessage(**HEAD, events=list(events))


def test_json_is_what_mqtt_tells_and_its_topic():
    told = json.loads(FORMS["json"](FillsMessage(**HEAD, events=[FILL])))
    assert {name: told[name] for name in ("topic", "v", "name", "run")} == {
        "topic": "fills", "v": 1, "name": "one", "run": 1,
    }  # fmt: skip
    assert told["events"][0]["price"] == "60000.00"
    assert json.loads(FORMS["json"](alerts(alert())))["topic"] == "alerts"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (alert(text="12 ticks"), "gap: 12 ticks"),
        (alert(kind="kill_switch", text="lunch", source="cli", halted=True), "HALTED by cli: lunch"),
        (alert(kind="kill_switch", text="back", source="http", halted=False), "resumed by http: back"),
    ],
)
def test_an_alert_in_words(event, words):
    assert in_words(alerts(event)) == f"tickd one: {words}"


def test_fills_in_words_a_line_each():
    other = FillEvent(**{name: getattr(FILL, name) for name in FILL.__struct_fields__} | {
        "side": "sell", "maker": False, "strategy": None,
    })  # fmt: skip
    assert in_words(FillsMessage(**HEAD, events=[FILL, other])) == (
        "tickd one: bought 0.00200 BTC/USDT at 60000.00 (ema_cross, maker, fee 0.0001 BNB)\n"
        "tickd one: sold 0.00200 BTC/USDT at 60000.00 (an order of nobody here, taker, fee 0.0001 BNB)"
    )
    assert in_words(OrdersMessage(**HEAD, events=[])) == ""


def test_no_text_calls_anybody_and_none_is_too_long():
    loud = alerts(alert(text="<!channel> & @everyone " + "x" * 3_000))
    slack = json.loads(FORMS["slack"](loud))["text"]
    assert "&lt;!channel&gt; &amp; @everyone" in slack
    discord = json.loads(FORMS["discord"](loud))
    assert discord["allowed_mentions"] == {"parse": []}
    assert len(discord["content"]) <= 2_000
    assert discord["content"].endswith("x…")


def test_the_page_shows_what_is_posted_and_each_key_s_default(root):
    page = (root / "docs" / "webhook.md").read_text()
    shown = re.search(r'^    (\{"topic".*?\]\})$', page, re.MULTILINE | re.DOTALL)[1]
    event = alert(
        seq=8, now_ns=1766016000000000000, kind="kill_switch", text="lunch", source="cli", halted=True
    )
    told = AlertsMessage(name="demo", run=3, now_ns=1766016000000000000, events=[event])
    assert json.loads(FORMS["json"](told)) == json.loads(shown)
    assert in_words(told) in page
    section = re.search(r"^    \[webhook\]\n(?:    .+\n)+", page, re.MULTILINE)[0]
    keys = tomllib.loads(section.replace("\n    ", "\n").strip())["webhook"]
    defaults = {name: getattr(WebhookConfig(), name) for name in WebhookConfig.__struct_fields__}
    assert keys | {"url_env": "", "events": tuple(keys["events"])} == defaults
    assert set(FORMS) == {"json", "slack", "discord"} == set(get_args(get_type_hints(WebhookConfig)["form"]))
