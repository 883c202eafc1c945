"""Where secrets come from: a systemd credential, an environment variable, or a keyring, by one name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.errors import ConfigError, unread
from daemon.redact import redact, register

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.config import Config
    from daemon.seams import Disk

#: set by systemd for a unit with LoadCredential= or LoadCredentialEncrypted=
CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
_OTHERS: Final = 0o007


def find_secret(environ: Mapping[str, str], disk: Disk, name: str, service: str = "") -> str:
    """Return the secret of a name, empty where there is none; raises ConfigError for an unreadable one.

    service: under which the keyring holds it, which is asked last; empty: it is not asked.
    """
    folder = environ.get(CREDENTIALS, "")
    if folder and name:
        path = Path(folder) / name
        try:
            return disk.read(path).decode().strip()
        except FileNotFoundError:
            pass  # another of this unit's secrets may be a credential, and this one not
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise ConfigError(f"the credential {path} cannot be read ({why})") from None
    found = environ.get(name, "")
    return _ask_keyring(service, name) if service and name and not found else found


def _ask_keyring(service: str, name: str) -> str:
    """Return what this user's keyring holds; a locked one may ask a person, where there is one."""
    try:
        import keyring  # noqa: PLC0415 - an optional package, for who asks for it
    except ImportError:
        raise ConfigError(
            f"keyring = {service!r} needs the package keyring; install it: scripts/setup keyring"
        ) from None
    try:
        return keyring.get_password(service, name) or ""
    except keyring.errors.KeyringLocked:
        raise ConfigError(f"the keyring that holds {name} is locked: unlock it and start again") from None
    except keyring.errors.NoKeyringError:
        raise ConfigError(
            f"there is no keyring here that could hold {name}: run one, or leave the key keyring out"
        ) from None
    except Exception as error:  # whatever a backend raises, such as an OSError where its bus is not there
        why = redact(" ".join(f"{type(error).__name__}: {error}".split()))
        raise ConfigError(f"the keyring cannot be asked for {name} ({why})") from None


def is_set(environ: Mapping[str, str], name: str) -> bool:
    """Whether there is a secret of a name outside the keyring, without reading it."""
    folder = environ.get(CREDENTIALS, "")
    return bool(environ.get(name)) or bool(folder and (Path(folder) / name).is_file())


def read_key_file(disk: Disk, path: Path, key: str) -> str:
    """Return a private key's PEM text; `key` is what names its file. Raises ConfigError."""
    try:
        mode = disk.mode(path)
        text = disk.read(path).decode("ascii")
    except OSError as error:
        raise ConfigError(f"{key} {path} {unread(error)}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{key} {path} is no PEM text") from None
    if mode & _OTHERS:
        raise ConfigError(f"{key} {path} is open to every user here (mode {mode:04o}): chmod 600 {path}")
    return text


def find_token(environ: Mapping[str, str], disk: Disk, config: Config) -> str:
    """Return what commands over HTTP have to show; "" without a port: the socket asks for none."""
    if not config.http.port:
        return ""
    token = find_secret(environ, disk, config.http.token_env, config.keyring)
    register(token, word=True)
    return token


def mask_keys(environ: Mapping[str, str], disk: Disk, config: Config) -> None:
    """Mask what a trading daemon would sign with, where nobody signs: a strategy may show what it finds."""
    venue, mqtt, hook = config.venue, config.mqtt, config.webhook
    names = [venue.key_env, venue.secret_env, venue.password_env, config.http.token_env]
    names += [mqtt.username_env, mqtt.password_env, hook.url_env, hook.token_env]
    for name in (*names, *venue.credentials.values()):
        register(find_secret(environ, disk, name), word=True)
