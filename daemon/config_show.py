"""A configuration as TOML text that can be read back, and what the environment holds for it, masked."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from daemon.config import Config

#: user:password@ of a URL, and the value of any key of its query
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_QUERY = re.compile(r"(?<==)[^&\s]+")


def to_toml(config: Config, environ: Mapping[str, str]) -> str:
    """Return the whole configuration, every default written out; of a secret only whether it is set."""
    lines: list[str] = []
    tree = msgspec.structs.asdict(config)
    lines += [f"{key} = {_value(value)}" for key, value in tree.items() if isinstance(value, str)]
    for key, value in tree.items():
        if isinstance(value, msgspec.Struct):
            lines += ["", f"[{key}]", *_body(value)]
        elif isinstance(value, tuple):
            for one in value:
                lines += ["", f"[[{key}]]", *_body(one)]
    lines += ["", "# secrets in the environment", *secrets(config, environ)]
    return "\n".join(lines) + "\n"


def secrets(config: Config, environ: Mapping[str, str]) -> list[str]:
    """Return one comment line per environment variable that the configuration names."""
    names = (config.venue.key_env, config.venue.secret_env, config.http.token_env)
    return [f"# {name}: {'set (masked)' if environ.get(name) else 'not set'}" for name in names if name]


def masked(text: str) -> str:
    """Return a URL without its password and without the values of its query; other text as it is."""
    if "://" not in text:
        return text
    text = _CREDENTIALS.sub("****", text)
    head, mark, query = text.partition("?")
    return head + mark + _QUERY.sub("****", query)


def _body(section: msgspec.Struct) -> Iterator[str]:
    for key, value in msgspec.structs.asdict(section).items():
        yield f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, Decimal)):
        return json.dumps(masked(str(value)), ensure_ascii=False)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        inside = ", ".join(f"{json.dumps(key)} = {_value(one)}" for key, one in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return f"[{', '.join(_value(one) for one in value)}]"
