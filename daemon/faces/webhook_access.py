"""Where notifications are posted, looked at before trading begins: chats make the address a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from daemon.credentials import find_secret
from daemon.errors import ConfigError
from daemon.net import RealNet
from daemon.redact import register, register_address
from daemon.venues.hosts import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.config import Config
    from daemon.faces.webhook import Webhook
    from daemon.logs import Logs
    from daemon.seams import Disk, Seams

_CHARS_MAX: Final = 2_048


class Address(NamedTuple):
    """What a request needs; of this only the host may be shown."""

    url: str
    host: str
    headers: dict[str, str]


def make_webhook(config: Config, seams: Seams, environ: Mapping[str, str], logs: Logs) -> Webhook | None:
    """Return what notifies the configured address, None where there is none; raises ConfigError."""
    if not config.webhook.url_env:
        return None
    address = find_address(config, seams.disk, environ)
    from daemon.faces.webhook import Webhook  # noqa: PLC0415 - loaded where it is used

    net = RealNet(hosts=(address.host,), body_bytes_max=0)  # nobody reads an answer's body
    return Webhook(config, address, net, seams, logs.get("webhook"))


def find_address(config: Config, disk: Disk, environ: Mapping[str, str]) -> Address:
    """Return where to post; raises ConfigError. The address is masked from now on wherever it might stand."""
    hook = config.webhook
    url = find_secret(environ, disk, hook.url_env, config.keyring)
    if not url:
        raise ConfigError(f"webhook.url_env names {hook.url_env}, which is not set; set it to the address")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        parts.port  # noqa: B018 - raises for one that is no number
    except ValueError:
        host = ""
    if not host or parts.scheme not in {"http", "https"} or not url.isascii() or len(url) > _CHARS_MAX:
        raise ConfigError(f"{hook.url_env} must hold an https address of at most {_CHARS_MAX} characters")
    register_address(url)
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ConfigError(f"{hook.url_env} is no https address: what is told would be readable on its way")
    if config.mode == "demo" and host not in LOOPBACK:
        raise ConfigError(
            f"a demo stays on this machine, so the host in {hook.url_env} can be {' or '.join(LOOPBACK)}"
        )
    headers = {"Content-Type": "application/json"}
    if hook.token_env:
        token = find_secret(environ, disk, hook.token_env, config.keyring)
        if not token or not token.isascii() or not token.isprintable():
            raise ConfigError(f"webhook.token_env names {hook.token_env}, which must hold one line of text")
        register(token, word=True)
        headers["Authorization"] = f"Bearer {token}"
    return Address(url, host, headers)
