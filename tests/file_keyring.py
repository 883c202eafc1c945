"""A keyring in a file, as the package keyring wants its backends: it runs where there is no desktop.

    PYTHON_KEYRING_BACKEND=tests.file_keyring.FileKeyring  TICKD_TEST_KEYRING=FILE

A file that begins with "locked" is one that nobody has unlocked; without one nothing is held.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked


class FileKeyring(KeyringBackend):
    priority = 1

    def get_password(self, service, username):
        return self._read().get(f"{service}/{username}")

    def set_password(self, service, username, password):
        self._path.write_text(json.dumps({**self._read(), f"{service}/{username}": password}))

    @property
    def _path(self):
        return Path(os.environ["TICKD_TEST_KEYRING"])

    def _read(self):
        text = self._path.read_text() if self._path.exists() else "{}"
        if text.startswith("locked"):
            raise KeyringLocked("nobody has unlocked it")
        return json.loads(text)
