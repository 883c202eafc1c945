"""A configuration as TOML text that can be read back, and what the environment holds for it, masked."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from daemon.credentials import is_set

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
            lines += _section(key, value)
        elif isinstance(value, tuple):
            for one in value:
                lines += ["", f"[[{key}]]", *_body(one)]
    lines += ["", "# secrets", *_secrets(config, environ)]
    return "\n".join(lines) + "\n"


def to_json(config: Config, environ: Mapping[str, str]) -> str:
    """Return the same as one JSON object, with the names of the secrets that are set in `environ`."""
    tree = msgspec.to_builtins(config)
    names = [name for name in _variables(config) if is_set(environ, name)]
    return json.dumps({**_masked_tree(tree), "secrets_set": names}) + "\n"


def _masked_tree(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _masked_tree(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_masked_tree(value) for value in node]
    return masked(node) if isinstance(node, str) else node


def _variables(config: Config) -> list[str]:
    venue = config.venue
    password = venue.password_env if venue.kind == "ccxt" else ""
    keys = venue.credentials.values() or (venue.key_env, venue.secret_env, password)
    bus = (config.mqtt.username_env, config.mqtt.password_env) if config.mqtt.host else ()
    hook = (config.webhook.url_env, config.webhook.token_env)
    names = (*keys, config.http.token_env, *bus, *hook)
    return [name for name in names if name]


def _secrets(config: Config, environ: Mapping[str, str]) -> list[str]:
    """Return one comment line per secret that the configuration names; the keyring is not asked."""
    missing = f"left to the keyring's {config.keyring}" if config.keyring else "not set"
    return [
        f"# {name}: {'set (masked)' if is_set(environ, name) else missing}" for name in _variables(config)
    ]


def masked(text: str) -> str:
    """Return a URL without its password and without the values of its query; other text as it is."""
    if "://" not in text:
        return text
    text = _CREDENTIALS.sub("****", text)
    head, mark, query = text.partition("?")
    return head + mark + _QUERY.sub("****", query)


def _section(name: str, section: msgspec.Struct) -> Iterator[str]:
    """Yield a section, and after its keys those within that say anything."""
    yield from ("", f"[{name}]", *_body(section))
    for key, value in msgspec.structs.asdict(section).items():
        if isinstance(value, msgspec.Struct) and value != type(value)():
            yield from _section(f"{name}.{key}", value)


def _body(section: msgspec.Struct) -> Iterator[str]:
    for key, value in msgspec.structs.asdict(section).items():
        if not isinstance(value, msgspec.Struct):
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
