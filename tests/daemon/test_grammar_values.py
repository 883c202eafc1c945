from __future__ import annotations

import pytest

from daemon.errors import UsageError
from daemon.grammar import parse


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2023-11-14", 1_699_920_000_000_000_000),
        ("2023-11-14T22:13:20", 1_700_000_000_000_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000_000_000),
        ("2023-11-14 23:13:20+01:00", 1_700_000_000_000_000_000),
        ("2023-11-14T22:13:20.123456789Z", 1_700_000_000_123_456_789),
        ("2023-11-14T22:13:20.5", 1_700_000_000_500_000_000),
        ("1969-12-31T23:59:59.5", -500_000_000),
    ],
)
def test_a_time_is_utc_to_the_nanosecond(text, ns):
    assert parse(["journal", "x", "--since", text]).since == ns


@pytest.mark.parametrize("text", ["yesterday", "2023-13-01", "2023-11-14T22:13:20.1234567890", ""])
def test_what_is_no_time_is_refused_with_examples(text):
    with pytest.raises(UsageError, match="is no time such as 2026-01-31"):
        parse(["journal", "x", "--until", text])


@pytest.mark.parametrize(("text", "counts"), [("1,500", (1, 500)), ("8", (8,)), ("0", ())])
def test_how_many_instruments_are_compared_is_a_list(text, counts):
    assert parse(["bench", "latency", "--many", text]).many == counts


@pytest.mark.parametrize("text", ["0,1", "1,1", "1001", "many", ""])
def test_a_list_of_instruments_that_is_none_is_refused(text):
    with pytest.raises(UsageError):
        parse(["bench", "latency", f"--many={text}"])


@pytest.mark.parametrize("cores", ["0,1,2", "-1", "one", ""])
def test_cores_are_one_or_two_numbers(cores):
    with pytest.raises(UsageError):
        parse(["bench", "latency", f"--cores={cores}"])


def test_a_day_is_counted_from_1970():
    args = parse(["fetch", "x", "--out", "o", "--from", "1970-01-01", "--until", "2024-08-08"])
    assert (args.since, args.until) == (0, 19_943)


@pytest.mark.parametrize(
    "text", ["yesterday", "2023-13-01", "2023-1-1", "20230101", "2023-11-14T00:00:00", ""]
)
def test_what_is_no_day_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="is no day such as 2026-01-31"):
        parse(["fetch", "x", "--out", "o", "--from", text])
