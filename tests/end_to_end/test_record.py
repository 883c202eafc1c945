"""`tickd record` and what it leaves: stopped, killed, altered, replayed by the command."""

from __future__ import annotations

import json
import signal

from tests.end_to_end.harness import CROSS, READY_S, SOON_S, until


def feed_of(exchange):
    url = exchange.urls["spot"]
    return {"TICKD__FEED__REST_URL": url, "TICKD__FEED__WS_URL": url.replace("http", "ws", 1)}


def started(bench, exchange, *words):
    """Start a recording, and wait until it has written something."""
    before = set(bench.folder.glob("tapes/*"))
    words = ("record", "--exchange", "binance", "--symbol", "BTC/USDT", "--out", "tapes", *words)
    child = bench.tickd(*words, env=feed_of(exchange))

    def grown():
        assert child.alive, child.err
        segments = bench.folder.glob("tapes/*/*.arrows")
        return [one for one in segments if one.parent not in before and one.stat().st_size > 12_000]

    (segment,) = until(grown, "frames are on disk", READY_S)
    return child, segment.parent


def test_a_recording_is_stopped_and_replayed(bench, exchange):
    child, folder = started(bench, exchange, "--json")
    assert child.end(signal.SIGINT) == 0
    recorded = child.json
    assert recorded["folder"] == str(folder.relative_to(bench.folder))
    assert (recorded["dropped"], recorded["lost_from"], recorded["errors"]) == (0, -1, {})
    first = bench.run("replay", folder, "--json").json
    again = bench.run("replay", next(folder.glob("*.arrows")), "--speed", "1000", "--json").json
    assert first["events"] == recorded["events"]
    assert (first["decision_digest"], first["order_digest"]) == (
        again["decision_digest"],
        again["order_digest"],
    )
    assert first["symbols"] == ["BTC/USDT"]


def test_a_configuration_is_recorded_for_some_seconds(bench, exchange):
    config = bench.config(exchange.urls, CROSS, mode="paper", kind="paper", more='[tape]\npath = "mine"\n')
    child = bench.run("record", config, "--seconds", "1")
    assert "recorded into mine/one-" in " ".join(child.out.split())
    (folder,) = (bench.folder / "mine").iterdir()
    assert json.loads((folder / "manifest.json").read_text())["closed"] is True


def test_a_killed_recording_is_replayed_as_far_as_it_is_whole_and_an_altered_one_is_not(bench, exchange):
    child, folder = started(bench, exchange)
    child.send(signal.SIGKILL)
    child.wait()
    (segment,) = folder.glob("*.arrows")
    segment.write_bytes(segment.read_bytes()[:-10])
    replayed = bench.run("replay", folder, "--json").json
    assert "is cut at byte" in replayed["notes"][0]
    assert replayed["events"]["quote"] > 0

    child, whole = started(bench, exchange)
    assert child.end() == 0
    path = whole / "00000001.arrows"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    refused = bench.run("replay", whole, code=1, seconds=SOON_S)
    assert refused.complaint.endswith(
        "00000001.arrows is damaged: its SHA-256 is not the manifest's; copy it again"
    )


def test_what_cannot_be_recorded_is_refused(bench):
    assert "what is to be recorded" in bench.run("record", code=2).complaint
    child = bench.run("record", "--exchange", "binance", "--symbol", "?", code=2)
    assert "is not understood" in child.complaint
    child = bench.run("replay", "none", code=2)
    assert "does not exist" in child.complaint
