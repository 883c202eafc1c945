"""Which form a file is of, and what is said where none fits."""

from __future__ import annotations

import zipfile

import pytest

from daemon.errors import FileFormatError, UsageError
from daemon.tape.forms.table import FORMS, Wanted, find_source

TRADE = "1,61.5,2,123,1723075200000,True,True"
MAP = {"time": "t", "price": "p", "size": "q"}


def test_a_capture_is_known_by_its_first_bytes(lines_of, capture_of):
    form, _ = find_source(capture_of(lines_of(10)), Wanted())
    assert form == "capture"


def test_a_zip_is_looked_into(tmp_path, read_all):
    path = tmp_path / "BTCUSDT-trades-2024-08-08.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("BTCUSDT-trades-2024-08-08.csv", TRADE + "\n")
    assert read_all(path).series.symbol == "BTC/USDT"


def test_what_the_command_line_says_goes_before_what_the_name_says(file_of, read_all):
    found = read_all(file_of("x.csv", TRADE), symbol="ETH/BTC", market="usdm", form="binance")
    assert (found.series.symbol, found.series.market) == ("ETH/BTC:BTC", "usdm")


@pytest.mark.parametrize(
    ("lines", "wanted", "sentence"),
    [
        (["hello"], {}, "is of no form that is known .it begins 'hello'"),
        (["hello"], {"form": "binance"}, "is no file of the form binance; it begins 'hello'"),
        ([TRADE], {"form": "capture"}, "is no file of the form capture"),
    ],
)
def test_a_foreign_file_is_refused_with_what_it_begins_with(file_of, lines, wanted, sentence):
    with pytest.raises(FileFormatError, match=sentence):
        find_source(file_of("x.csv", *lines), Wanted(**wanted))


def test_an_empty_file_is_refused(file_of):
    with pytest.raises(FileFormatError, match="is empty"):
        find_source(file_of("x.csv"), Wanted())


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"form": "binnance"}, "--from binnance is no form; did you mean 'binance'"),
        ({"columns": {**MAP, "prize": "p"}}, "knows no 'prize' of trades; did you mean 'price'"),
        ({"columns": {"time": "t", "price": "p"}}, "--columns lacks size"),
        ({"columns": {**MAP, "size": "amount"}}, "has no column 'amount'"),
        ({"columns": {"time": "1", "price": "2", "size": "9"}}, "has 3 columns, so none with the number 9"),
        ({"columns": MAP}, "names no instrument: say --exchange NAME and --symbol"),
        ({"columns": MAP, "exchange": "x", "symbol": "???"}, "is not understood: say --symbol"),
    ],
)
def test_a_command_line_that_cannot_be_is_refused(file_of, wanted, sentence):
    with pytest.raises(UsageError, match=sentence):
        find_source(file_of("x.csv", "t,p,q", "1723075200000,1,2"), Wanted(**wanted))


def test_every_form_has_a_name_of_its_own():
    assert len({one.name for one in FORMS}) == len(FORMS)
