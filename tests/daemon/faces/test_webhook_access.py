"""Where notifications go, and what is refused before anything is tried."""

from __future__ import annotations

import pytest

from daemon.config import from_tree
from daemon.disk import RealDisk
from daemon.errors import ConfigError
from daemon.faces.webhook_access import find_address, make_webhook
from daemon.redact import redact
from tests.daemon.faces.test_mqtt_access import TREE

URL = "https://hooks.example:8443/services/T000/canary-of-a-path?key=canary-of-a-query"


def find(url, mode="paper", environ=None, **section):
    tree = {**TREE, "mode": mode, "webhook": {"url_env": "HOOK", **section}}
    return find_address(from_tree(tree, {}, "f.toml"), RealDisk(), {"HOOK": url, **(environ or {})})


def test_the_address_is_a_secret_and_its_host_is_not():
    one = find(URL)
    assert (one.url, one.host, one.headers) == (URL, "hooks.example", {"Content-Type": "application/json"})
    told = redact(
        f"POST {URL} failed, of /services/T000/canary-of-a-path and key=canary-of-a-query at hooks.example"
    )
    assert "canary" not in told
    assert told.endswith("hooks.example")


def test_a_token_is_shown_and_masked():
    one = find(URL, token_env="TOK", environ={"TOK": "canary-token"})
    assert one.headers["Authorization"] == "Bearer canary-token"
    assert redact("canary-token") == "***"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "names HOOK, which is not set"),
        ("hooks.example/canary", "must hold an https address"),
        ("ftp://hooks.example/canary", "must hold an https address"),
        ("https:///canary", "must hold an https address"),
        ("https://hooks.example:canary/", "must hold an https address"),
        ("https://hooks.example/canär", "must hold an https address"),
        ("https://hooks.example/" + "canary" * 400, "must hold an https address"),
        ("http://hooks.example/canary", "would be readable on its way"),
    ],
)
def test_an_address_that_is_none_is_refused_and_not_shown(url, words):
    with pytest.raises(ConfigError, match=words) as refused:
        find(url)
    assert "canar" not in str(refused.value)


def test_a_short_path_is_a_secret_as_well():
    find("https://hooks.example/c4n?x=1")
    assert redact("POST https://hooks.example/c4n failed") == "POST https://hooks.example*** failed"


@pytest.mark.parametrize("key", ["url_env", "token_env"])
def test_an_address_in_place_of_its_name_is_refused_and_not_shown(key):
    with pytest.raises(ConfigError, match=rf"webhook\.{key} must be the name of a secret") as refused:
        from_tree({**TREE, "webhook": {"url_env": "HOOK", key: "https://hooks.example/canary"}}, {}, "f.toml")
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("token", ["", "two\nlines", "schlüssel"])
def test_a_token_that_is_none_is_refused(token):
    with pytest.raises(ConfigError, match=r"webhook\.token_env names TOK"):
        find(URL, token_env="TOK", environ={"TOK": token})


def test_a_demo_stays_on_this_machine():
    assert find("http://127.0.0.1:9/notified", mode="demo").host == "127.0.0.1"
    with pytest.raises(ConfigError, match="a demo stays on this machine"):
        find(URL, mode="demo")


def test_without_the_section_nobody_is_notified():
    assert make_webhook(from_tree(TREE, {}, "f.toml"), None, {}, None) is None
