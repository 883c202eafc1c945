"""Where secrets come from: a systemd credential, or else an environment variable, of one name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.seams import Disk

#: set by systemd for a unit with LoadCredential= or LoadCredentialEncrypted=
_FOLDER: Final = "CREDENTIALS_DIRECTORY"
_OTHERS: Final = 0o007


def find_secret(environ: Mapping[str, str], disk: Disk, name: str) -> str:
    """Return the secret of a name, empty where there is none; raises ConfigError for an unreadable one."""
    folder = environ.get(_FOLDER, "")
    if folder and name:
        path = Path(folder) / name
        try:
            return disk.read(path).decode().strip()
        except FileNotFoundError:
            pass  # another of this unit's secrets may be a credential, and this one not
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise ConfigError(f"the credential {path} cannot be read ({why})") from None
    return environ.get(name, "")


def is_set(environ: Mapping[str, str], name: str) -> bool:
    """Whether there is a secret of a name, without reading it."""
    folder = environ.get(_FOLDER, "")
    return bool(environ.get(name)) or bool(folder and (Path(folder) / name).is_file())


def read_key_file(disk: Disk, path: Path, key: str) -> str:
    """Return a private key's PEM text; `key` is what names its file. Raises ConfigError."""
    try:
        mode = disk.mode(path)
        text = disk.read(path).decode("ascii")
    except OSError as error:
        raise ConfigError(f"{key} {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{key} {path} is no PEM text") from None
    if mode & _OTHERS:
        raise ConfigError(f"{key} {path} is open to every user here (mode {mode:04o}): chmod 600 {path}")
    return text
