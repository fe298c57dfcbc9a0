"""The keys of a service: those of the settings, and those that `quadglass keys` keeps in a file.

The file is `keys.yaml` in the data directory, readable by its owner only, with the hashes and never
a key. It is read again when it changes, so a key is made or taken back without a restart.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from .config import ApiKey, Scope, Settings
from .errors import BadSettings, NotFound
from .files import write_atomic
from .hashing import hash_key

__all__ = ["KeyRing", "new_key", "read_keys", "revoke"]

FILE = "keys.yaml"
_KEYS = TypeAdapter(tuple[ApiKey, ...])


class KeyRing:
    """All keys that are good now (state: the file as it was last read)."""

    def __init__(self, settings: Settings) -> None:
        self._own = settings.http.keys
        self._path = settings.data_dir / FILE
        self._read: tuple[tuple[int, int, int], tuple[ApiKey, ...]] | None = None

    def keys(self) -> tuple[ApiKey, ...]:
        """The keys of the settings, then those of the file.

        Raises:
            BadSettings: the file cannot be read; nobody is let in by mistake.
        """
        try:
            now = self._path.stat()
        except FileNotFoundError:
            # Once there was a file, its end must not open the service to everybody.
            return self._own if self._read is None else (*self._own, *self._read[1])
        stamp = (now.st_mtime_ns, now.st_size, now.st_ino)
        if self._read is None or self._read[0] != stamp:
            self._read = (stamp, read_keys(self._path))
        return (*self._own, *self._read[1])


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """The keys of a file; none if there is no file.

    Raises:
        BadSettings: it is no list of keys.
    """
    if not path.exists():
        return ()
    try:
        return _KEYS.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")) or ())
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise BadSettings(
            f"{path} is no list of keys ({str(error).splitlines()[0]}); restore it, or move it "
            "away and make new keys with: quadglass keys new NAME"
        ) from error


def new_key(path: Path, name: str, scopes: Sequence[Scope]) -> str:
    """Makes a key, keeps its hash in the file, and returns it: nobody can read it again.

    A name may have several keys, so that a new one can be handed out before the old is revoked.
    """
    secret = f"qg_{secrets.token_urlsafe(24)}"
    made = ApiKey(name=name, hash=hash_key(secret), scopes=tuple(scopes))
    _write(path, (*read_keys(path), made))
    return secret


def revoke(path: Path, name: str, *, keep_newest: bool = False) -> int:
    """Takes a name's keys back, all of them or all but the newest; returns how many.

    Raises:
        NotFound: the file has no key of that name.
    """
    keys = read_keys(path)
    named = [key for key in keys if key.name == name]
    if not named:
        raise NotFound(
            f"{path} has no key of {name!r}; its names are "
            f"{', '.join(sorted({key.name for key in keys})) or 'none'}"
        )
    gone = named[:-1] if keep_newest else named
    _write(path, tuple(key for key in keys if not any(key is one for one in gone)))
    return len(gone)


def _write(path: Path, keys: tuple[ApiKey, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump([key.model_dump(mode="json") for key in keys], sort_keys=False)
    write_atomic(path, text.encode(), private=True)
