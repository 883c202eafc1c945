"""A decoder whose books come in its streams."""

from __future__ import annotations

import pytest

from daemon.errors import FrameError
from daemon.feeds.streamed import StreamedDecoder


def test_a_book_that_nobody_asked_for_is_refused() -> None:
    with pytest.raises(FrameError, match=r"no request was for: b'\{\}'") as caught:
        StreamedDecoder().snapshot(0, b"{}", 1)
    assert caught.value.reason == "stream"


def test_no_kernel_reads_its_frames() -> None:
    one = StreamedDecoder()
    assert (one.key_size, one.keys, one.fields, one.sequence) == (0, {}, {}, None)
