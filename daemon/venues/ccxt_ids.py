"""Our client order ids as an exchange takes them: as they are, without dashes, as UUIDs or numbers. Sans-IO.

The daemon knows `name-run-number` alone. Both ways are worked out, so that an order of ours is recognised
after the journal was lost: a UUID holds a mark of the name (60 bits), the run and the number; so does a
number of 63 bits, where the mark has nine, and one in 512 of somebody else's may be taken for ours.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from daemon.venues.ccxt_exchanges import ExchangeForm

_OURS: Final = re.compile(r"(.+)-([0-9]+)-([0-9]+)")
_ALPHANUMERIC: Final = re.compile(r"(.+)r([0-9]+)s([0-9]+)")
_UUID: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE
)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,18}")
#: the bits of run and number in each; a run is a billion at most (daemon/orders/ids.py)
_UUID_BITS: Final = (31, 31)
_NUMBER_BITS: Final = (30, 24)


class ClientIds:
    """Translates the ids of the daemon `name`, both ways; those of others are left as they are."""

    def __init__(self, form: ExchangeForm, name: str) -> None:
        self.form = form
        self._name = name
        mark = int.from_bytes(blake2b(name.encode(), digest_size=8).digest())
        self._mark60, self._mark9 = mark >> 4, mark % 511 + 1  # zero is the mark of small numbers

    def at(self, run: int, seq: int) -> str:
        """Return an id of ours."""
        return f"{self._name}-{run}-{seq}"

    def fits(self, client_order_id: str) -> bool:
        """Whether the exchange takes an id of ours."""
        theirs = self.theirs(client_order_id)
        return len(theirs) <= self.form.id_length and (theirs.isdigit() or self.form.id_kind != "number")

    def theirs(self, client_order_id: str) -> str:
        """Return an id of ours in the exchange's form."""
        found, kind = _OURS.fullmatch(client_order_id), self.form.id_kind
        if found is None or kind == "text":
            return client_order_id
        name, run, seq = found[1], int(found[2]), int(found[3])
        if kind == "alphanumeric":
            return f"{name}r{run}s{seq}"
        if name != self._name:
            return client_order_id
        if kind == "uuid":
            return _uuid(self._mark60, run << _UUID_BITS[1] | seq)
        if seq >> _NUMBER_BITS[1]:
            return client_order_id  # no room: it does not fit
        return str(self._mark9 << sum(_NUMBER_BITS) | run << _NUMBER_BITS[1] | seq)

    def ours(self, text: str) -> str:
        """Return the id that `theirs` made `text` of; the text where it made none."""
        form = self.form
        text = text.removeprefix(form.id_prefix).removesuffix(self.cancel_mark)
        if form.id_kind == "alphanumeric":
            found = _ALPHANUMERIC.fullmatch(text)
            return "-".join(found.groups()) if found else text
        if form.id_kind == "uuid" and _UUID.fullmatch(text):
            value = int(text.replace("-", ""), 16)
            mark = value >> 80 << 12 | value >> 64 & 0xFFF
            return self._unpacked(text, mark == self._mark60, value & (1 << 62) - 1, _UUID_BITS)
        if form.id_kind == "number" and _NUMBER.fullmatch(text):
            bits = sum(_NUMBER_BITS)
            value = int(text)
            return self._unpacked(text, value >> bits == self._mark9, value & (1 << bits) - 1, _NUMBER_BITS)
        return text

    def _unpacked(self, text: str, marked: bool, value: int, bits: tuple[int, int]) -> str:
        run, seq = value >> bits[1], value & (1 << bits[1]) - 1
        return self.at(run, seq) if marked and run and seq else text

    @property
    def cancel_mark(self) -> str:
        """Return how an id ends that a cancel gives an order, where it must give one."""
        if not self.form.id_cancel:
            return ""
        return "c" if self.form.id_kind == "alphanumeric" else "-c"


def _uuid(mark: int, low: int) -> str:
    """Return a UUID of the random kind (version 4), as exchanges want it, of 60 bits and 62."""
    value = mark >> 12 << 80 | 4 << 76 | (mark & 0xFFF) << 64 | 2 << 62 | low
    text = f"{value:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
