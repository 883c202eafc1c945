"""Times as text, and numbers of quotes that are only stamped."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from daemon.errors import FrameError
from daemon.feeds.stamps import QuoteNumbers, Stamp, nanoseconds
from daemon.feeds.sync import IdChain

decode = msgspec.json.Decoder(Stamp).decode


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2023-07-30T15:29:58.343415Z", 1_690_730_998_343_415_000),
        ("2024-10-04T07:13:08.600625889Z", 1_728_025_988_600_626_000),
        ("2024-10-04T09:13:08+02:00", 1_728_025_988_000_000_000),
        ("2261-12-31T23:59:59.999999Z", 9_214_646_399_999_999_000),
    ],
)
def test_a_time_is_read_to_the_microsecond(text: str, ns: int) -> None:
    assert nanoseconds(decode(f'"{text}"')) == ns


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59Z", "2262-01-01T00:00:00Z", "9999-12-31T00:00:00Z"])
def test_a_time_without_room_is_refused(text: str) -> None:
    with pytest.raises(FrameError) as caught:
        nanoseconds(decode(f'"{text}"'))
    assert caught.value.reason == "time"


@pytest.mark.parametrize("text", ["2024-10-04T07:13:08", "2024-13-04T07:13:08Z", "1728025988", ""])
def test_what_is_no_time_is_no_stamp(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(f'"{text}"')


def test_quotes_of_one_microsecond_are_told_apart_and_stay_in_order() -> None:
    numbers = QuoteNumbers(2)
    said = [(5_000_000, "a"), (5_000_100, "b"), (5_000_900, "c"), (5_001_000, "d"), (5_009_000, "e")]
    found = [numbers.number(0, ns, what) for ns, what in said]
    assert all(later > earlier for earlier, later in pairwise(found))
    assert found[0] == 5000
    assert found[-1] == 5009
    assert numbers.number(1, 5_000_000, "a") == 5000  # each instrument by itself


def test_the_same_quote_again_has_the_same_number_and_an_older_one_a_smaller() -> None:
    numbers = QuoteNumbers(1)
    first = numbers.number(0, 5_000_000, "a")
    assert numbers.number(0, 5_000_000, "a") == first
    assert numbers.number(0, 4_999_000, "z") < first
    assert numbers.number(0, 5_000_000, "b") == first + 1


def test_an_hour_without_a_quote_makes_the_next_no_stray() -> None:
    numbers, ids = QuoteNumbers(1), IdChain(contiguous=False, step_max=10**12)
    for ns in (0, 3_600 * 10**9):
        assert ids.admit(numbers.number(0, 1_700_000_000 * 10**9 + ns, ns))
