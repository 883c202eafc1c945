"""Values that the environment puts in the place of a configuration file's: TICKD__FEED__STALE_MS=3000."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from daemon.errors import ConfigError, nearest
from daemon.explain import below, names_at

#: what the values are of which others chose the names: balances, secrets and words of an exchange
_NAMED: Final = ((Decimal,), (str,), (Any,))


def override(root: type, tree: dict[str, Any], variable: str, text: str) -> list[str]:
    """Put a variable's value into a tree of `root`; return the keys it stands under. Raises ConfigError."""
    keys = variable.split("__")[1:]
    kind: Any = root
    node: Any = tree
    for depth, word in enumerate(keys):
        # names of assets and of ccxt are as they are, every other key is lower case
        key = keys[depth] = word if get_args(kind)[1:] in _NAMED else word.lower()
        kind = below(kind, key)
        if kind is None:
            where = ".".join(keys[: depth + 1])
            near = nearest(key, names_at(root, keys[:depth]))
            raise ConfigError(f"{variable}: there is no key {where}{near}")
        if depth == len(keys) - 1:
            value = text if _is_text(kind) else _toml_value(text)
        else:
            value = node.get(key, {}) if isinstance(node, dict) else None
        if isinstance(node, list):
            if not key.isdigit() or int(key) >= len(node):
                raise ConfigError(f"{variable}: there is no {'.'.join(keys[:depth])}[{key}] to override")
            if depth == len(keys) - 1:
                node[int(key)] = value
            node = node[int(key)]
        elif isinstance(node, dict):
            node[key] = value
            node = value
        else:
            raise ConfigError(f"{variable}: {'.'.join(keys[:depth])} holds a value, not a section")
    return keys


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def _is_text(kind: Any) -> bool:
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind is str or get_origin(kind) is Literal
