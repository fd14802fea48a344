"""What is right of what a client made of its answers.

What does not live here: asking (`programs/`), what was answered (`world.py`).
"""

from typing import Any

from tests.clients.world import BONJOUR, RAIN


def wrong(line: dict[str, Any]) -> str | None:
    """What is wrong with one line of a program; None if nothing is."""
    if "error" in line:
        return str(line["error"])
    surface, got = line["surface"], line["got"]
    return None if _is_right(surface, got) else f"{surface} gave {str(got)[:300]}"


def _is_right(surface: str, got: Any) -> bool:
    words = set(surface.split())
    if "tools" in words:
        return bool(got == {"called": ["Paris"], "text": RAIN})
    if "structured" in words:
        return set(got) == {"name", "age"} and isinstance(got["name"], str) and isinstance(got["age"], int)
    if "embeddings" in words:
        return len(got) == 2 and got[0] != got[1] and all(isinstance(x, float) for row in got for x in row)
    if "models" in words:
        return len(got) > 4 and all(isinstance(id, str) for id in got)
    if "rerank" in words:
        return len(got) == 2 and set(got) < {0, 1, 2}
    if "tokens" in words:
        return isinstance(got, int) and got > 0
    if "image" in words:
        return isinstance(got, str) and got.startswith("iVBOR")
    if "speech" in words:
        return isinstance(got, int) and got > 100
    if "transcription" in words:
        return isinstance(got, str) and bool(got)
    if isinstance(got, list):
        return "".join(got) == BONJOUR and len([piece for piece in got if piece]) > 1
    return bool(got == BONJOUR)
