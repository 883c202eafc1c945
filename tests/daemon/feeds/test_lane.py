from __future__ import annotations

from daemon.feeds.lane import Lane, new_records
from kernels.dtypes import DEPTH, QUOTE, TRADE


def test_a_new_lane_knows_nothing(instrument) -> None:
    lane = Lane(instrument(index=3), new_records(1)[0], 10, 1_000)
    assert (lane.index, lane.told, lane.newest_ns, lane.resyncs, lane.wanted) == (3, 0, 0, 0, False)
    for kind in (TRADE, QUOTE, DEPTH):
        record = lane.stream(kind).record[0]
        assert (record["instrument"], record["kind"], record["time_unit_ns"]) == (3, kind, 1_000)
        assert record["chain"].tolist() == [-1, 0]
        assert not lane.stream(kind).shaped


def test_the_state_machines_and_the_kernels_share_the_sequence(instrument) -> None:
    lane = Lane(instrument(), new_records(1)[0], 10, 1)
    lane.trade_ids.admit(5)
    lane.quote_ids.admit(7)
    assert lane.trade.record["chain"][0].tolist() == [5, 1]
    assert lane.quote.record["chain"][0, 0] == 7
    lane.trade.record["chain"][0, 0] = 6  # as a kernel does
    assert (lane.trade_ids.last, lane.trade_ids.admit(7), lane.trade_ids.gaps) == (6, True, 0)


def test_counts_and_times_are_told_over_all_streams(instrument) -> None:
    lane = Lane(instrument(), new_records(1)[0], 10, 1)
    for at_ns, stream in enumerate((lane.trade, lane.depth, lane.quote), 5):
        stream.add()
        stream.newest_ns = at_ns
    lane.snapshots += 1
    assert (lane.told, lane.newest_ns) == (4, 7)


def test_only_the_newest_frames_are_kept(instrument) -> None:
    lane = Lane(instrument(), new_records(1)[0], 2, 1)
    for number in range(3):
        lane.frames.append(b"%d" % number)
    assert list(lane.frames) == [b"1", b"2"]
