"""One engine, several feeds: each counts its own instruments from 0, and the engine all of them."""

from __future__ import annotations

import pytest

from daemon.tape.parts import Part, share


class Engine:
    """Remembers what it is told."""

    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        return lambda *args: self.told.append((name, *args))


def test_a_single_feed_has_the_engine_to_itself():
    engine = Engine()
    assert share(engine, [3]) == [engine]


def test_instruments_count_on_from_feed_to_feed():
    engine = Engine()
    _, second, third = share(engine, [2, 1, 4])
    second.on_tick(0)
    third.absorb(3)
    third.on_book(1, 5, b"book")
    second.on_book_status(0, True, "snapshot")
    third.on_gap(0, "lost")
    second.drain(9)
    assert engine.told == [
        ("on_tick", 2),
        ("absorb", 6),
        ("on_book", 4, 5, b"book"),
        ("on_book_status", 2, True, "snapshot"),
        ("on_gap", 3, "lost"),
        ("drain", 9),
    ]


def test_no_turn_is_taken():
    part = Part(Engine(), 1, 3)
    assert (part.turns, part.on_decided) == ([None, None, None], None)
    for call in (
        lambda: part.on_turn(0),
        lambda: part.turned(0, 1, 2),
        lambda: part.turn_raised(0, ValueError()),
    ):
        with pytest.raises(AssertionError):
            call()
