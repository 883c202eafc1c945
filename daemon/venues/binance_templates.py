"""Templates of WebSocket API requests: literal text and the holes that kernels.requests fills. Sans-IO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from daemon.errors import ConfigError
from daemon.venues.binance_settings import RECV_WINDOW_MS_DEFAULT
from daemon.venues.signing import Secret
from kernels import requests

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from daemon.instruments import Instrument, Scale
    from daemon.venues.signing import HmacSigner


class Hole:
    """A place in a template, by what stands there; `quoted` where JSON wants a string, with a `tail`."""

    __slots__ = ("quoted", "tail", "value")

    def __init__(self, value: int, *, quoted: bool, tail: str = "") -> None:
        self.value = value
        self.quoted = quoted
        self.tail = tail


NAME: Final = Hole(requests.NAME, quoted=True)
MARKED_NAME: Final = Hole(requests.MARKED_NAME, quoted=True)
LAST_NAME: Final = Hole(requests.LAST_NAME, quoted=True)
SYMBOL: Final = Hole(requests.SYMBOL, quoted=True)
INTEGER: Final = Hole(requests.INTEGER, quoted=False)
PRICE: Final = Hole(requests.PRICE, quoted=True)
QTY: Final = Hole(requests.QTY, quoted=True)
TIME: Final = Hole(requests.TIME, quoted=False)
REQUEST_ID: Final = Hole(requests.REQUEST_ID, quoted=False)
SIGNATURE: Final = Hole(requests.SIGNATURE, quoted=True)

#: a step's numerator times its denominator, which counts of it are multiplied with
_SCALE_MAX: Final = 2**63


class Template(Secret):
    """One kind of request, as the kernel has it: TEMPLATE of length 1, which can sign."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array: NDArray[np.void] = np.zeros(1, requests.TEMPLATE)


Params = dict[str, "str | int | Hole"]


def make_template(method: str, params: Params, signer: HmacSigner | None, recv_window_ms: int) -> Template:
    """Return one kind of request, its parameters sorted."""
    fields: Params = {**params, "timestamp": TIME}
    if recv_window_ms != RECV_WINDOW_MS_DEFAULT:
        fields["recvWindow"] = recv_window_ms
    ordered = sorted(fields.items())
    template = Template()
    array = template.array
    pairs: list[tuple[str, str | int | Hole]] = list(ordered)
    text = 0
    if signer is not None:
        # what sorts up to the key is the same each time, so it is hashed once for all
        first = [(name, value) for name, value in ordered if name < "apiKey"]
        assert not any(isinstance(value, Hole) for _, value in first)
        prefix = "".join(f"{name}={value}&" for name, value in [*first, ("apiKey", signer.api_key)])
        signed: list[str | Hole] = [signer.bind(array, prefix.encode()).decode()]
        for name, value in ordered[len(first) :]:
            signed += [f"{name}=", *([value, value.tail] if isinstance(value, Hole) else [str(value)]), "&"]
        text = _write_pieces(array, "signed", text, signed[:-1])
        pairs = [("apiKey", signer.api_key), *pairs, ("signature", SIGNATURE)]
    request: list[str | Hole] = ['{"id":', REQUEST_ID, f',"method":"{method}","params":{{']
    for name, value in pairs:
        request += [f'"{name}":', *_json(value), ","]
    _write_pieces(array, "request", text, [*request[:-1], "}}"])
    return template


def _write_pieces(template: NDArray[np.void], field: str, at: int, parts: list[str | Hole]) -> int:
    """Write text and holes into a template, its text from `at` on; return where that ends."""
    pieces, text = template[field][0], template["text"][0]
    start, piece = at, 0
    for part in parts:
        if isinstance(part, Hole):
            pieces[piece] = start, at, part.value
            start, piece = at, piece + 1
        else:
            letters = part.encode()
            text[at : at + len(letters)] = list(letters)
            at += len(letters)
    pieces[piece] = start, at, requests.NOTHING
    return at


def _json(value: str | int | Hole) -> list[str | Hole]:
    if isinstance(value, Hole):
        return ['"', value, f'{value.tail}"'] if value.quoted else [value]
    return [f'"{value}"' if isinstance(value, str) else str(value)]


def make_listing(instrument: Instrument) -> NDArray[np.void]:
    """Return what requests have of an instrument (kernels.requests.LISTING); raises ConfigError."""
    listing = np.zeros(1, requests.LISTING)
    symbol = instrument.exchange_symbol.encode()
    if len(symbol) > requests.SYMBOL_MAX:
        raise ConfigError(f"{instrument.symbol}: its name at the exchange is longer than requests have room")
    listing["symbol"][0, : len(symbol)] = list(symbol)
    listing["symbol_size"] = len(symbol)
    listing["price"], listing["qty"] = (
        _scale(scale, instrument) for scale in (instrument.price, instrument.qty)
    )
    return listing


def _scale(scale: Scale, instrument: Instrument) -> tuple[int, int, int]:
    """Return a step's numerator and denominator, and the decimal places it is written with: at least one."""
    places = max(scale.places, 1)
    numerator, denominator = int(scale.step * 10**places), 10**places
    if numerator * denominator >= _SCALE_MAX:
        raise ConfigError(f"{instrument.symbol}: its step of {scale.step} has more digits than are traded in")
    return numerator, denominator, places
