"""The header: whole in every segment's schema, and nothing else is taken for a tape."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

from daemon.errors import FileFormatError
from daemon.tape.header import FORMAT_KEY, HEADER_KEY, SCHEMA, header_of, schema_of


def test_a_header_comes_back_with_its_instruments_rules(header):
    one = header(session={"run": 7})
    back = header_of(schema_of(one))
    assert back.session == {"run": 7}
    assert (back.name, back.exchange, back.market, back.streams) == (
        one.name,
        "binance",
        "spot",
        ("trade", "quote", "depth"),
    )
    (instrument,) = back.instruments
    assert (instrument.symbol, instrument.tick_size) == ("BTC/USDT", Decimal("0.01"))
    assert instrument.price.parse("12.34") == 1234
    assert instrument.qty.step == Decimal("0.00001")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({FORMAT_KEY: b"2"}, r"newer tickd \(format 2, ours is 1\)"),
        ({FORMAT_KEY: b"x"}, "is no tape"),
        ({FORMAT_KEY: None}, "is no tape"),
        ({HEADER_KEY: None}, "is no tape"),
        ({HEADER_KEY: b"{}"}, "damaged header"),
        ({HEADER_KEY: b"[" * 10_000}, "damaged header"),
    ],
)
def test_what_is_no_header_of_ours_is_refused(header, change, sentence):
    metadata = {**schema_of(header()).metadata, **change}
    schema = SCHEMA.with_metadata({key: value for key, value in metadata.items() if value is not None})
    with pytest.raises(FileFormatError, match=sentence):
        header_of(schema)


def test_other_columns_are_refused(header):
    schema = pa.schema([pa.field("seq", pa.int32())]).with_metadata(schema_of(header()).metadata)
    with pytest.raises(FileFormatError, match="other columns"):
        header_of(schema)


def test_an_absurd_tick_size_in_a_header_is_refused(header):
    metadata = dict(schema_of(header()).metadata)
    metadata[HEADER_KEY] = metadata[HEADER_KEY].replace(b'"price":"0.01"', b'"price":"-1"')
    with pytest.raises(FileFormatError, match="damaged header"):
        header_of(SCHEMA.with_metadata(metadata))
