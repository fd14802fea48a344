"""How providers make images that do not make them as OpenAI does, and which of them make images at all.

A server that is not in the table of providers is not known: it is asked.

What does not live here: the rows (`table.py`), what is done about it (`dialects/openai/images.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from compatgw.dialects.base import ImageQuirks

if TYPE_CHECKING:
    from compatgw.providers.row import Provider

# What OpenAI's own image models alone know: strict vendors refuse it, the others leave it undone.
_PAINTING = frozenset(
    {"background", "moderation", "output_compression", "quality", "safety_identifier", "style", "input_fidelity"}
)

BASE64 = ImageQuirks(
    formats={"b64_json": "b64_json"},
    drop=(_PAINTING - {"quality", "style"}) | {"output_format"},
    stream=False,
    edits="none",
)
"""Images as base64, whole."""

BASE64_AND_EDITS = replace(BASE64, edits="form")
"""The same, and it edits."""

PIXELS = ImageQuirks(
    size="pixels",
    formats={"url": "url", "b64_json": "base64"},
    drop=_PAINTING | {"user"},
    stream=False,
    edits="none",
)
"""Together's: width and height, and a word of its own for base64."""

RATIOS = ImageQuirks(
    size="ratio",
    ratios=(
        "1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "2:1", "1:2", "19.5:9", "9:19.5", "20:9", "9:20",
    ),
    drop=_PAINTING | {"output_format"},
    stream=False,
    edits="json",
)  # fmt: skip
"""xAI's: a size is an error there; images to be edited come as JSON alone."""

ADDRESSES = ImageQuirks(
    formats={"url": ""},
    qualities={"auto": "standard", "low": "standard", "medium": "standard", "high": "hd", "xhigh": "hd", "max": "hd"},
    drop=(_PAINTING - {"quality"}) | {"output_format"},
    rename={"user": "user_id"},
    stream=False,
    edits="none",
)
"""Z.ai's: addresses alone, one image at a time, two words for quality."""

IN_CHAT = ImageQuirks(
    size="ratio",
    ratios=("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"),
    formats={"b64_json": "", "url": ""},
    drop=_PAINTING | {"output_format"},
    stream=False,
    edits="json",
    chat=True,
)
"""OpenRouter's: models show images in their messages, and there is no endpoint for images."""

# Those of OpenAI's dialect that make images.
_MAKE = frozenset(
    {
        "openai", "azure", "azure-deployments", "together", "deepinfra", "xai", "nscale", "zai", "openrouter",
        "vllm", "sglang", "ollama",
    }
)  # fmt: skip


def narrowed(row: Provider) -> Provider:
    """`row`, with images among what it lacks where it makes none."""
    lacks = frozenset[str]() if row.name in _MAKE else frozenset({"images"})
    return replace(row, quirks=replace(row.quirks, lacks=row.quirks.lacks | lacks))
