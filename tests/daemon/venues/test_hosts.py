"""Keys of one environment cannot reach a host of another."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from daemon.config import from_tree
from daemon.errors import ConfigError
from daemon.net import make_net
from daemon.venues.hosts import LOOPBACK, PLACES, venue_hosts

TESTNET_NAMES = {"key_env": "TICKD_TESTNET_KEY", "secret_env": "TICKD_TESTNET_SECRET"}


def read(mode="live", *, feed=None, **venue):
    kind = "binance" if mode == "live" else "paper"
    tree = {
        "name": "x",
        "mode": mode,
        "feed": {"symbols": ["BTC/USDT"], **(feed or {})},
        "venue": {"kind": kind, **venue},
        "strategy": [{"name": "ema_cross"}],
    }
    return from_tree(tree, {}, "f.toml")


def refusal(**venue):
    with pytest.raises(ConfigError) as caught:
        read(**venue)
    return str(caught.value)


def test_production_keys_reach_production_and_this_machine_alone():
    hosts = venue_hosts(read())
    assert set(hosts) == {*PLACES["production"].hosts, *LOOPBACK}
    assert not set(hosts) & set(PLACES["testnet"].hosts)


def test_testnet_keys_reach_the_testnet_and_this_machine_alone():
    hosts = venue_hosts(read(environment="testnet", **TESTNET_NAMES))
    assert set(hosts) == {*PLACES["testnet"].hosts, *LOOPBACK}


@pytest.mark.parametrize("environment", PLACES)
def test_an_environments_own_addresses_are_among_its_hosts(environment):
    place = PLACES[environment]
    names = {} if environment == "production" else TESTNET_NAMES
    assert read(environment=environment, ws_url=place.ws_url, rest_url=place.rest_url, **names)


def test_a_host_of_the_other_environment_is_refused_by_its_name():
    assert refusal(rest_url="https://testnet.binance.vision") == (
        "f.toml: venue.rest_url: host testnet.binance.vision is testnet's, "
        "and venue.environment is 'production'"
    )
    assert refusal(environment="testnet", ws_url="wss://ws-api.binance.com/ws-api/v3", **TESTNET_NAMES) == (
        "f.toml: venue.ws_url: host ws-api.binance.com is production's, and venue.environment is 'testnet'"
    )


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("ws_url", "wss://stream.testnet.binance.vision:9443"),
        ("rest_url", "https://testnet.binance.vision"),
        ("ws_url", "wss://stream.binancefuture.com"),
    ],
)
@pytest.mark.parametrize("venue", [{}, {"rest_url": "https://api1.binance.com"}])
def test_no_real_order_goes_by_the_prices_of_a_testnet(key, url, venue):
    host = url.partition("://")[2].partition(":")[0]
    assert refusal(feed={key: url}, **venue) == (
        f"f.toml: feed.{key}: {host} tells a testnet's prices, and venue.environment = 'production' sends "
        f"real orders: leave feed.{key} out, or send them to the testnet too"
    )
    assert read("paper", feed={key: url})
    assert read(environment="testnet", feed={key: url}, **TESTNET_NAMES)
    simulated = {"ws_url": "ws://127.0.0.1:8080/ws-api/v3", "rest_url": "http://127.0.0.1:8080"}
    assert read(feed={key: url}, **simulated)


@pytest.mark.parametrize("url", ["https://api.binance.com.evil.example", "https://api.binance.co"])
def test_a_host_nobody_knows_is_refused_unless_it_is_named(url):
    host = url.removeprefix("https://")
    assert refusal(rest_url=url) == (
        f"f.toml: venue.rest_url: host {host!r} is not known of production; name it in venue.hosts "
        "if its owner may see the key"
    )
    assert host in venue_hosts(read(rest_url=url, hosts=[host]))


def test_a_text_that_is_no_address_is_refused():
    assert "venue.rest_url: host 'nonsense' is not known of production" in refusal(rest_url="nonsense")


@pytest.mark.parametrize("given", [{}, {"key_env": "TICKD_TESTNET_KEY"}])
def test_a_testnets_keys_are_not_looked_for_where_productions_are(given):
    missing = "secret_env: TICKD_SECRET" if given else "key_env: TICKD_KEY"
    name = missing.replace("TICKD", "TICKD_TESTNET").partition(": ")[2]
    assert refusal(environment="testnet", **given) == (
        f"f.toml: venue.{missing} holds production's key; with venue.environment = 'testnet' name another, "
        f"such as {name}"
    )


def test_the_addresses_of_the_futures_testnet_have_to_be_named():
    tree = {
        "name": "x",
        "mode": "live",
        "feed": {"symbols": ["BTC/USDT"], "market": "usdm"},
        "venue": {"kind": "binance", "environment": "testnet", **TESTNET_NAMES},
        "strategy": [{"name": "ema_cross"}],
    }
    with pytest.raises(
        ConfigError, match="ws_url is empty: the addresses of USD-M's testnet have to be named"
    ):
        from_tree(tree, {}, "f.toml")
    host = "testnet.binancefuture.com"
    tree["venue"] |= {
        "ws_url": f"wss://{host}/ws-fapi/v1",
        "rest_url": f"https://{host}",
        "stream_url": f"wss://{host}",
    }
    assert from_tree(tree, {}, "f.toml")


def test_an_ed25519_key_needs_no_name_for_its_secret():
    names = {"key_env": "TICKD_TESTNET_KEY", "key_type": "ed25519", "private_key_file": "test.pem"}
    assert read(environment="testnet", **names)


def test_a_proxy_of_the_venue_may_be_reached():
    assert "proxy.example" in venue_hosts(read(proxy="http://proxy.example:3128"))


def test_a_rehearsal_on_paper_reaches_no_venue_and_needs_none_of_it():
    assert read("paper", rest_url="https://anything.example")


@pytest.mark.parametrize("environment", PLACES)
def test_the_network_itself_refuses_what_a_configuration_let_by(environment):
    """Whatever asks: the venue's network knows its hosts, for websockets and HTTP alike."""
    names = {} if environment == "production" else TESTNET_NAMES
    config = read(environment=environment, **names)
    (other,) = PLACES.keys() - {environment}

    async def ask():
        net = make_net(config.venue, venue_hosts(config))
        try:
            with pytest.raises(ConfigError, match="is not among those this configuration allows"):
                await net.request("GET", PLACES[other].rest_url, {}, b"", 1.0)
            with pytest.raises(ConfigError, match="is not among those this configuration allows"):
                await net.connect(PLACES[other].ws_url, None)
        finally:
            await net.close()

    asyncio.run(ask())


def test_the_demo_reaches_this_machine_alone():
    assert venue_hosts(msgspec.structs.replace(read(mode="paper"), mode="demo")) == LOOPBACK
