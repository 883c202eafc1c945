"""How the broker is reached: address, client id, password, certificates, looked at before trading begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.credentials import find_secret, read_key_file
from daemon.errors import ConfigError
from daemon.net import show_certificate, trust
from daemon.redact import register
from daemon.venues.hosts import LOOPBACK

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from daemon.config import Config
    from daemon.config_sinks import MqttConfig
    from daemon.faces.mqtt import Bus
    from daemon.logs import Logs
    from daemon.seams import Disk, Seams

_CHARS_MAX: Final = 1024


def make_bus(config: Config, seams: Seams, environ: Mapping[str, str], logs: Logs) -> Bus | None:
    """Return what tells the configured broker, None where there is none; raises ConfigError."""
    if not config.mqtt.host:
        return None
    access = find_access(config, seams.disk, environ)
    from daemon.faces.mqtt import Bus  # noqa: PLC0415 - its library is loaded where it is used

    return Bus(config, access, seams, logs.get("mqtt"))


class Access:
    """What a connection needs. Its password is in no text that is made of it."""

    __slots__ = ("client_id", "host", "password", "port", "tls", "username")

    def __init__(
        self, host: str, port: int, client_id: str, username: str, password: str, tls: ssl.SSLContext | None
    ) -> None:
        self.host = host
        self.port = port
        self.client_id = client_id
        self.username = username
        self.password = password
        self.tls = tls

    @property
    def where(self) -> str:
        """Return the address for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def find_access(config: Config, disk: Disk, environ: Mapping[str, str]) -> Access:
    """Return how the configured broker is reached; raises ConfigError."""
    mqtt = config.mqtt
    username = _secret(config, disk, environ, mqtt.username_env)
    password = _secret(config, disk, environ, mqtt.password_env)
    if password and not username:
        raise ConfigError(
            f"{mqtt.password_env} is set and {mqtt.username_env} is not: a broker knows a password by its "
            "user's name; set both, or neither"
        )
    if password and not mqtt.tls and not mqtt.clear_password and mqtt.host not in LOOPBACK:
        raise ConfigError(
            f"the password of mqtt.host {mqtt.host} would be readable on its way there: set mqtt.tls = true, "
            "or mqtt.clear_password = true where that is meant"
        )
    return Access(
        mqtt.host,
        mqtt.port or (8883 if mqtt.tls else 1883),
        mqtt.client_id or f"tickd-{config.name}",
        username,
        password,
        tls_of(mqtt, disk),
    )


def tls_of(mqtt: MqttConfig, disk: Disk) -> ssl.SSLContext | None:
    """Return what the connection is secured by, None where it is not; raises ConfigError for its files."""
    if not mqtt.tls:
        return None
    tls = trust(mqtt.ca_file)
    if mqtt.key_file:
        read_key_file(disk, Path(mqtt.key_file), "mqtt.key_file")
        show_certificate(tls, mqtt.certificate_file, mqtt.key_file)
    return tls


def _secret(config: Config, disk: Disk, environ: Mapping[str, str], name: str) -> str:
    """Return a user's name or password, masked from now on wherever it might stand."""
    text = find_secret(environ, disk, name, config.keyring)
    if len(text) > _CHARS_MAX or not text.isprintable():
        raise ConfigError(f"{name} must hold one line of at most {_CHARS_MAX} printable characters")
    register(text)
    return text
