"""The key of the pseudonyms: whose it is, how long it must be, and changing it."""

import base64
import os
import secrets
import stat
from contextlib import suppress
from functools import cache
from pathlib import Path

from journeybook.errors import JourneybookError
from journeybook.tables.places import root, write_private

# The data sets that come with journeybook hold no secret, and their results must be the same everywhere.
PUBLISHED_KEY = "journeybook: a published key, for published data only"

N_BYTES = 32
# Of 32 random bytes fewer than 16 differ less than once in 10^10 keys.
_LEAST_DISTINCT = 16


def new_key() -> str:
    """Return a new key: 32 random bytes as 64 hexadecimal digits."""
    return secrets.token_hex(N_BYTES)


def checked_key(text: str, *, where: str) -> str:
    """Return a key (hexadecimal or base64) that spells at least 32 random bytes; `where` it comes from is told."""
    found = _spelled_bytes(text.strip())
    if len(found) >= N_BYTES and (n_values := len(set(found))) < _LEAST_DISTINCT:
        raise JourneybookError(
            f"{where} is not random: its {len(found)} bytes have {n_values} different values, and random ones "
            f"have {_LEAST_DISTINCT} or more (`journeybook key` makes a key)."
        )
    if len(found) < N_BYTES:
        raise JourneybookError(
            f"{where} is no key: at least {N_BYTES} random bytes are needed, as hexadecimal or base64 "
            "(`journeybook key` makes one)."
        )
    return text.strip()


@cache
def secret() -> str:
    """Return the user's own key: from the environment, or from a file of mode 600 made at first use."""
    given = os.environ.get("JOURNEYBOOK_KEY")
    if given is not None:
        return checked_key(given, where="JOURNEYBOOK_KEY")
    path = key_file()
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, f"{new_key()}\n".encode())
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise JourneybookError("data/pseudonym.key can be read by others: it needs mode 600 (chmod 600).")
    return checked_key(path.read_text(encoding="utf-8"), where="data/pseudonym.key")


def has_key() -> bool:
    """Return whether there is a key of the user's own, which `secret` would otherwise make."""
    return os.environ.get("JOURNEYBOOK_KEY") is not None or key_file().is_file()


def key_file() -> Path:
    """Return where the key is kept that no environment gives."""
    return root() / "data" / "pseudonym.key"


def _spelled_bytes(text: str) -> bytes:
    """The bytes a key spells, as hexadecimal digits or else as base64; none where it is neither."""
    with suppress(ValueError):
        return bytes.fromhex(text)
    signs = b"-_" if set(text) & set("-_") else None
    with suppress(ValueError):
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=signs, validate=True)
    return b""
