"""What each kind of hub request comes to before it is sent: what it needs, and what it may use.

A kind is what the codecs of one endpoint read (`surfaces.base.Surface.codec`): `chat`, which several surfaces
are translated to, `embeddings`, and so on.

What does not live here: what a request used in the end (`money.py`), taking it from limits (`limits.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from compatgw.policy.limits import input_tokens, output_tokens, reserved_tokens, text_tokens
from compatgw.policy.needs import Needs, needs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# About what a page of a document that is sent as a file comes to, and an image to be edited.
_PER_FILE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of request.

    Attributes:
        input: About how many tokens a request has.
        output: Most output tokens that it asks for: of a request, with a number for one that does not say, and
            the most that the model writes, where known.
        reserved: Tokens to reserve of limits: of a request, its input tokens, the most output tokens that are
            reserved, and the most that the model writes, where known.
        needs: What it needs of a model, given its input tokens.
        images: Most images that it asks for.
        writes: Its answer is text, which has tokens of its own.
        repeats: The same request has the same answer, so that one may be kept for others.
    """

    input: Callable[[Any], int]
    output: Callable[[Any, int, int | None], int]
    reserved: Callable[[Any, int, int, int | None], int]
    needs: Callable[[Any, int], Needs]
    images: Callable[[Any], int]
    writes: bool = False
    repeats: bool = False


def _nothing(request: Any, default: int = 0, most: int | None = None) -> int:
    return 0


def _its_input(request: Any, total: int, cap: int, most: int | None = None) -> int:
    return total


def _only_input(request: Any, total: int) -> Needs:
    # What such models take in and how they answer is not in the catalogue: that is the provider's to say.
    return Needs(input=total)


def _texts(*members: str) -> Callable[[Any], int]:
    def count(request: Any) -> int:
        return sum(_of(request.get(member)) for member in members)

    return count


def _of(value: Any) -> int:
    """About how many tokens a text, tokens themselves, or lists of either have."""
    if isinstance(value, str):
        return text_tokens(value)
    if isinstance(value, int):
        return 1
    if isinstance(value, dict):
        return _of(value.get("text")) if "text" in value else _PER_FILE
    if isinstance(value, list):
        return len(value) if value and isinstance(value[0], int) else sum(_of(one) for one in value)
    return 0


def _with_files(request: Any) -> int:
    given = _of(request.get("prompt")) + _of(request.get("images"))
    return given + _PER_FILE * len(request.get("files") or ())


def _images(request: Any) -> int:
    return request.get("n") or 1


def _plain(count: Callable[[Any], int], *, images: Callable[[Any], int] = _nothing, repeats: bool = False) -> Kind:
    """A kind whose answer has no tokens that could be foreseen."""
    return Kind(input=count, output=_nothing, reserved=_its_input, needs=_only_input, images=images, repeats=repeats)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "chat": Kind(
            input=input_tokens,
            output=output_tokens,
            reserved=reserved_tokens,
            needs=needs,
            images=_nothing,
            writes=True,
            repeats=True,
        ),
        "embeddings": _plain(_texts("input"), repeats=True),
        "rerank": _plain(_texts("query", "documents"), repeats=True),
        "moderations": _plain(_texts("input"), repeats=True),
        "images": _plain(_texts("prompt"), images=_images),
        "edits": _plain(_with_files, images=_images),
        "speech": _plain(_texts("input", "instructions")),
        "transcriptions": _plain(_with_files),
        "translations": _plain(_with_files),
    }
)
"""By the codec that reads them."""
