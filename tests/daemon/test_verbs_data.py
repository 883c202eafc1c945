from __future__ import annotations

import pytest

from daemon.cli import main
from daemon.errors import EXIT_USAGE


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["replay", "{}", "--journal", "x"], "--journal is of a session; say --verify too"),
        (["replay", "{}", "--verify", "--repeat", "2"], "a session is verified whole, and once"),
        (["replay", "{}", "--verify", "--from", "2026-01-31"], "a session is verified whole, and once"),
        (["replay", "{}", "{}", "--verify"], "a session is verified by itself, against its own journal"),
        (["replay", "{}", "no"], "the tape or capture no does not exist; check the name"),
        (["replay", "no", "--verify"], "the session no does not exist; check the name"),
        (["convert", "{}", "no.csv", "--out", "x"], "the file no.csv does not exist; check the name"),
        (["bars", "no.gz", "--every", "1m"], "the file no.gz does not exist; check the name"),
    ],
)
def test_what_makes_no_sense_together_is_refused_before_any_work(tmp_path, capsys, words, sentence):
    assert main([word.format(tmp_path) for word in words]) == EXIT_USAGE
    assert sentence in capsys.readouterr().err
