"""Ids for trades that their exchange names by text."""

from __future__ import annotations

from hashlib import blake2b


def trade_id(name: str) -> int:
    """Return a trade's id: a name that is a number is taken as it is, of every other a hash.

    The hash has 62 bits and is the same in every process.
    """
    if name.isascii() and name.isdecimal() and (number := int(name)) < 1 << 62:
        return number
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") >> 2
