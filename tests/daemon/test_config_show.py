from __future__ import annotations

import json
import tomllib

from daemon.config import from_tree
from daemon.config_show import masked, to_json, to_toml

TREE = {
    "name": "a",
    "mode": "paper",
    "feed": {"symbols": ["BTC/USDT", "ETH/USDT"], "ws_url": "wss://me:hunter2@example.org/ws?token=abc"},
    "venue": {"proxy": "http://me:swordfish@proxy.example:3128"},
    "paper": {"balances": {"USDT": "12.50"}},
    "strategy": [{"name": "pairs", "params": {"entry": 2.0}}, {"name": 'my "own".py:decide'}],
}


def test_the_text_reads_back_as_the_same_configuration():
    config = from_tree({**TREE, "feed": {"symbols": ["BTC/USDT", "ETH/USDT"]}, "venue": {}}, {}, "x")
    assert from_tree(tomllib.loads(to_toml(config, {})), {}, "x") == config


def test_no_secret_is_ever_written():
    environ = {"TICKD_KEY": "k-e-y", "TICKD_SECRET": "s-e-c", "TICKD_TOKEN": ""}
    text = to_toml(from_tree(TREE, {}, "x"), environ)
    assert not any(secret in text for secret in ("k-e-y", "s-e-c", "hunter2", "swordfish", "abc"))
    assert "wss://****@example.org/ws?token=****" in text
    assert "# TICKD_KEY: set (masked)" in text
    assert "# TICKD_TOKEN: not set" in text


def test_a_broker_s_secrets_are_named_where_there_is_one():
    environ = {"TICKD_MQTT_PASSWORD": "b-r-o"}
    assert "# TICKD_MQTT" not in to_toml(from_tree(TREE, {}, "x"), environ)
    text = to_toml(from_tree({**TREE, "mqtt": {"host": "broker.example"}}, {}, "x"), environ)
    assert "# TICKD_MQTT_USERNAME: not set" in text
    assert "# TICKD_MQTT_PASSWORD: set (masked)" in text
    assert "b-r-o" not in text


def test_what_a_keyring_may_hold_is_said_without_asking_it():
    text = to_toml(from_tree({**TREE, "keyring": "tickd"}, {}, "x"), {"TICKD_KEY": "k-e-y"})
    assert 'keyring = "tickd"' in text
    assert "# TICKD_KEY: set (masked)" in text
    assert "# TICKD_SECRET: left to the keyring's tickd" in text


def test_a_venue_s_third_secret_is_named_where_there_may_be_one():
    assert "TICKD_PASSWORD" not in to_toml(from_tree(TREE, {}, "x"), {}).replace('"TICKD_PASSWORD"', "")
    tree = {**TREE, "mode": "live", "venue": {"kind": "ccxt"}}
    assert "# TICKD_PASSWORD: set (masked)" in to_toml(from_tree(tree, {}, "x"), {"TICKD_PASSWORD": "p-a-s"})


def test_how_an_exchange_takes_orders_is_shown_where_orders_go_by_ccxt_and_reads_back():
    live = {**TREE, "mode": "live", "feed": {"symbols": ["BTC/USDT", "ETH/USDT"]}}
    assert "[venue.form]" not in to_toml(from_tree({**live, "venue": {"kind": "binance"}}, {}, "x"), {})
    told = {"id": "client_order_id", "id_length": 36, "immediate": {"ioc": True}, "post_only": {"maker": 1}}
    venue = {"kind": "ccxt", "exchange": "hitbtc", "form": told, "credentials": {"apiKey": "BIG_KEY"}}
    for section in ({"kind": "ccxt"}, venue):
        config = from_tree({**live, "venue": section}, {}, "x")
        text = to_toml(config, {"BIG_KEY": "k"})
        assert from_tree(tomllib.loads(text), {}, "x") == config
        assert "[venue.form]" in text
    assert 'immediate = { "ioc" = true }' in text
    assert "# BIG_KEY: set (masked)" in text
    assert "# TICKD_SECRET" not in text


def test_a_plain_path_with_signs_in_it_is_left_alone():
    assert masked("keys/me@host?x=1.pem") == "keys/me@host?x=1.pem"


def test_the_json_form_masks_too_and_names_the_secrets_that_are_set():
    text = to_json(from_tree(TREE, {}, "x"), {"TICKD_KEY": "k-e-y"})
    assert "hunter2" not in text
    assert "k-e-y" not in text
    tree = json.loads(text)
    assert tree["feed"]["ws_url"] == "wss://****@example.org/ws?token=****"
    assert tree["secrets_set"] == ["TICKD_KEY"]
