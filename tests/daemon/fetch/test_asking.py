from __future__ import annotations

import asyncio
from random import Random

import msgspec
import pytest

from daemon.errors import NetError, VenueError
from daemon.fetch.asking import TRIES, Asker
from daemon.seams import Response, Seams

START_NS = 1_700_000_040_000_000_000  # on a whole minute


class Hurry:
    """A clock that whoever waits moves on."""

    def __init__(self):
        self.at_ns = START_NS

    def now_ns(self):
        return self.at_ns

    mono_ns = now_ns

    def call_at(self, when_ns, fn):
        def ring():
            self.at_ns = max(self.at_ns, when_ns)
            fn()

        return asyncio.get_running_loop().call_soon(ring)

    @property
    def waited_s(self):
        return (self.at_ns - START_NS) / 1e9


class Answers:
    """A network of literal answers; behind the last one all is well."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    async def request(self, method, url, headers, body, timeout_s):
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else Response(200, {}, b"[1]")
        if isinstance(answer, Exception):
            raise answer
        return answer


def ask(*answers, times=1, weight=1, weight_1m=100, at_once=1):
    """Return (what came of it, the clock, the network, the asker)."""
    clock, net = Hurry(), Answers(*answers)

    async def main():
        asker = Asker(
            Seams(clock, clock, net, None, None, Random(1)), "http://x/", at_once=at_once, weight_1m=weight_1m
        )
        works = [
            asker.get("/klines?a=1", weight, msgspec.json.Decoder(list[int]).decode, "klines of A")
            for _ in range(times)
        ]
        return await asyncio.gather(*works, return_exceptions=True), asker

    found, asker = asyncio.run(main())
    return found, clock, net, asker


@pytest.mark.parametrize(
    "answer",
    [
        NetError("cut"),
        Response(500, {}, b""),
        Response(408, {}, b""),
        Response(200, {}, b"<html>"),
        Response(200, {}, b"[1,"),
        Response(200, {}, b""),
    ],
)
def test_what_may_pass_is_asked_for_again_later_each_time(answer):
    found, clock, net, asker = ask(*[answer] * 3)
    assert found == [[1]]
    assert (net.asked, asker.counts.requests, asker.counts.again) == (4, 4, 3)
    assert 0.125 + 0.25 + 0.5 <= clock.waited_s <= 0.25 + 0.5 + 1.0


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (NetError("it was cut"), "it was cut"),
        (Response(503, {}, b""), "http://x answered HTTP 503 to klines of A"),
        (Response(200, {}, b"<html>no"), "answered klines of A with something else (it begins '<html>no')"),
        (Response(200, {}, b""), "with something else (it is empty)"),
        (Response(200, {}, b"[1,"), "with something else (Input data was truncated)"),
        (Response(200, {}, b'["a"]'), "with something else (Expected `int`, got `str`"),
    ],
)
def test_what_does_not_pass_ends_after_some_times(answer, sentence):
    (error,), _, net, _ = ask(*[answer] * 20)
    assert isinstance(error, NetError)
    assert sentence in str(error)
    assert str(error).endswith(f"; it was asked {TRIES} times")
    assert net.asked == TRIES


def test_nothing_is_asked_before_a_limit_is_over():
    found, clock, net, asker = ask(Response(429, {"Retry-After": "7"}, b""))
    assert found == [[1]]
    assert 7.0 <= clock.waited_s <= 8.0
    assert (net.asked, asker.counts.limited, asker.counts.waited_s) == (2, 1, clock.waited_s)
    _, clock, _, _ = ask(Response(429, {}, b""))  # for how long it does not say
    assert clock.waited_s >= 10.0


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Response(418, {"Retry-After": "90"}, b""), "http://x has banned this address for 90 s (HTTP 418)"),
        (Response(418, {}, b""), "has banned this address for a time that it does not name (HTTP 418)"),
        (Response(429, {"Retry-After": "301"}, b""), "has banned this address for 301 s (HTTP 429)"),
    ],
)
def test_a_ban_ends_everything_at_once(answer, sentence):
    found, clock, net, _ = ask(answer, times=5)
    assert all(isinstance(one, NetError) and sentence in str(one) for one in found)
    assert (net.asked, clock.waited_s) == (1, 0.0)


def test_a_refusal_is_told_in_its_own_words_and_not_asked_for_again():
    (error,), _, net, _ = ask(Response(400, {}, b'{"code":-1121,"msg":"Invalid symbol."}'))
    assert isinstance(error, VenueError)
    assert str(error) == "http://x refuses klines of A: Invalid symbol. (-1121)"
    assert (error.code, error.status, net.asked) == (-1121, 400, 1)
    (error,), _, _, _ = ask(Response(403, {}, b"<html>"))
    assert str(error) == "http://x refuses klines of A (HTTP 403)"


def test_the_weight_of_a_minute_is_not_exceeded():
    found, clock, net, asker = ask(times=25, weight=10, weight_1m=100)
    assert found == [[1]] * 25
    assert net.asked == 25
    assert 120.0 <= clock.waited_s <= 123.0  # ten a minute, and a second of doubt
    assert asker.counts.waited_s > 0
    _, clock, _, _ = ask(times=25, weight=10, weight_1m=0)
    assert clock.waited_s == 0.0


def test_what_others_used_from_this_address_counts():
    answer = Response(200, {"X-MBX-USED-WEIGHT-1M": "100"}, b"[1]")
    _, clock, _, _ = ask(answer, times=2, weight=1, weight_1m=100)
    assert 60.0 <= clock.waited_s <= 62.0
