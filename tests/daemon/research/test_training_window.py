"""A backtest over the time that its model was trained on: refused, or marked on all that comes of it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from daemon.cli import main
from daemon.disk import RealDisk
from daemon.errors import FileFormatError, UsageError
from daemon.research.backtest_verb import instrument_of, streams_of
from daemon.research.bundle import read_bundle, write_bundle
from daemon.research.training_window import in_training, refuse
from daemon.tape.replay import Given, configure
from daemon.tape.ticks import read_header, span_of
from tests.daemon.research.test_backtest import START_NS

DEMO = Path(__file__).resolve().parents[3] / "models" / "demo"
#: of the fixture `booked`: a line in 3 ms
FIRST_NS, LAST_NS = START_NS, START_NS + 3_999 * 3_000_000


@pytest.fixture
def bundle(tmp_path):
    """Write the shipped model with another window; return its folder."""

    def write(**window):
        model = read_bundle(RealDisk(), DEMO)
        folder = tmp_path / "mine"
        write_bundle(
            RealDisk(), folder, (DEMO / "model.txt").read_bytes(), model.manifest._replace(window=window)
        )
        return folder

    return write


def told(path, folder):
    header = read_header(path)
    given = Given(None, None, folder)
    config = configure(given, "", header.exchange, [instrument_of(header)], streams_of(path))
    return in_training(config, path, RealDisk())


def test_ticks_tell_of_which_time_they_are(booked, tmp_path):
    assert span_of(booked) == (FIRST_NS, LAST_NS)
    with pytest.raises(FileFormatError, match="holds no ticks"):
        span_of(tmp_path)


@pytest.mark.parametrize(
    ("from_ns", "to_ns", "inside"),
    [
        (FIRST_NS - 9, LAST_NS + 9, True),
        (FIRST_NS + 9, LAST_NS - 9, True),
        (LAST_NS, LAST_NS + 9, True),
        (LAST_NS + 1, LAST_NS + 9, False),
        (FIRST_NS - 9, FIRST_NS - 5_000_000_000, True),  # a label looks 5 s ahead
        (FIRST_NS - 9, FIRST_NS - 5_000_000_001, False),
    ],
)
def test_any_time_in_common_counts_as_far_as_labels_look(booked, bundle, from_ns, to_ns, inside):
    said = told(booked, bundle(train_from_ns=from_ns, train_to_ns=to_ns, data="synthetic", symbol="BTC/USDT"))
    assert bool(said) == inside
    if inside:
        assert "model demo was trained on synthetic BTC/USDT of " in said
        assert "these ticks are of 2024-08-08T23:54:14.000000000Z to " in said


def test_the_shipped_model_was_trained_at_another_time_and_without_one_there_is_none(booked):
    assert told(booked, DEMO) == ""
    assert told(booked, None) == ""


@pytest.mark.parametrize("window", [{}, {"train_from_ns": 1}, {"train_from_ns": "1", "train_to_ns": "2"}])
def test_a_bundle_that_does_not_say_is_taken_for_one_that_was(booked, bundle, window):
    assert told(booked, bundle(**window)) == "model demo does not say which time it was trained on"


def test_it_is_refused_unless_it_is_wanted():
    refuse("", allowed=False)
    refuse("it is", allowed=True)
    with pytest.raises(UsageError, match=r"it is: what it gains .* --in-training, and the result is marked"):
        refuse("it is", allowed=False)


def test_every_output_is_marked(booked, bundle, tmp_path, capsys):
    folder = bundle(train_from_ns=FIRST_NS, train_to_ns=LAST_NS)
    words = ["backtest", str(booked), "--model", str(folder)]
    page = tmp_path / "page.html"
    for more in ([], ["--html", str(page)]):
        assert main([*words, *more]) == 2
        assert "has learnt by heart" in capsys.readouterr().err
    assert not page.exists()
    mark = "model demo was trained on data of "
    assert main([*words, "--in-training", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["in_training"].startswith(mark)
    assert main([*words, "--in-training", "--html", str(page), "--no-reruns"]) == 0
    said = capsys.readouterr().out
    assert "IN TRAINING" in said
    text = page.read_text()
    assert "IN TRAINING" in text
    assert mark in text
    assert main([*words, "--prove", "--in-training"]) == 2
    assert "come to no figures" in capsys.readouterr().err


def test_so_is_a_sweep_and_each_of_its_trials(booked, bundle, tmp_path, capsys):
    folder = bundle(train_from_ns=FIRST_NS, train_to_ns=LAST_NS)
    out = tmp_path / "trials.jsonl"
    words = ["sweep", str(booked), "--model", str(folder), "--param", "band=0.1,0.2", "--by", "net"]
    words += ["--threads", "1", "--point", "1", "--out", str(out)]
    assert main(words) == 2
    assert "has learnt by heart" in capsys.readouterr().err
    assert not out.exists()
    assert main([*words, "--in-training", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    mark = result["in_training"]
    assert mark.startswith("model demo was trained on")
    assert [one["figures"]["in_training"] for one in result["best"]] == [mark, mark]
    lines = [msgspec.json.decode(line) for line in out.read_bytes().splitlines()[1:]]
    assert [line["figures"]["in_training"] for line in lines] == [mark, mark]
    assert main([*words, "--in-training"]) == 0
    assert "IN TRAINING" in capsys.readouterr().out
