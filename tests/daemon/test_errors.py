from __future__ import annotations

import inspect

import pytest

from daemon import errors


def classes():
    found = (one for _, one in inspect.getmembers(errors, inspect.isclass))
    return [one for one in found if issubclass(one, errors.TickdError)]


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_every_error_is_drawn_in_the_modules_tree_with_its_exit_code(kind):
    (line,) = [
        line
        for line in errors.__doc__.splitlines()
        if f"{kind.__name__} " in f"{line} " and kind.__name__ in line.split()
    ]
    codes = [int(word) for word in line.split() if word.isdigit()]
    assert codes in ([kind.exit_code], []), line


def test_a_frame_error_carries_its_label_and_a_venue_error_its_code():
    frame = errors.FrameError("price", "the price is negative")
    assert (frame.reason, str(frame)) == ("price", "the price is negative")
    venue = errors.VenueError(-2010, "insufficient balance")
    assert (venue.code, str(venue)) == (-2010, "insufficient balance")


def test_an_unknown_word_is_answered_with_the_nearest_known_one():
    assert errors.nearest("spinn", ["cpu", "spin"]) == "; did you mean 'spin'?"
    assert errors.nearest("spin", ["cpu"]) == ""


def test_what_could_not_be_read_is_told_in_the_same_words_everywhere():
    missing = FileNotFoundError(2, "No such file or directory")
    assert errors.unread(missing) == "does not exist; check the name"
    assert errors.unread(missing, "copy it again") == "does not exist; copy it again"
    assert errors.unread(PermissionError(13, "Permission denied")) == "cannot be read (Permission denied)"
    assert errors.unread(OSError("odd")) == "cannot be read (odd)"


def test_a_strategy_that_there_is_not_is_told_with_those_there_are():
    assert errors.unknown_strategy("x", ("a", "b")) == (
        "strategy 'x' is unknown; use one of a, b or a file like my_strategy.py"
    )
