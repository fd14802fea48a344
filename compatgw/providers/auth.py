"""How a key becomes headers. Pure: a scheme and a secret in, headers out.

What does not live here: where keys come from (`config.py`), signatures over a whole request.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "bearer": ("Authorization", "Bearer "),
        "x-api-key": ("x-api-key", ""),
        "x-goog-api-key": ("x-goog-api-key", ""),
        "api-key": ("api-key", ""),
    }
)


def headers(scheme: str, secret: str) -> tuple[tuple[str, str], ...]:
    """The headers that carry `secret`; none for the scheme `none`.

    Raises:
        ValueError: The secret holds what no header may; the message does not show it.
    """
    if scheme == "none":
        return ()
    if not secret.isascii() or not secret.isprintable() or secret != secret.strip():
        raise ValueError("the key holds white space at an end, a line break or a character beyond ASCII")
    name, prefix = SCHEMES[scheme]
    return ((name, f"{prefix}{secret}"),)
