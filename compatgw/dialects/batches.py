"""Requests of more inputs than an upstream takes: cut into several, their answers joined again.

Works for requests whose `input` is a list and whose answers hold one entry for each input in
`data` (embeddings) or `results` (moderations).

What does not live here: sending the parts (`flow/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from compatgw.dialects.base import Result
from compatgw.errors import UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Codec, Target
    from compatgw.wire.chat import Usage


def most(codec: Codec[Any, Any], target: Target) -> int | None:
    """Inputs that one call takes: those of the protocol, or fewer where the quirks say so; None: any number."""
    own = target.quirks.embeddings.most
    # Only embeddings have a limit, and only theirs is ever another one.
    return codec.most if codec.most is None or own is None else min(codec.most, own)


def split(request: Mapping[str, Any], most: int | None) -> list[Mapping[str, Any]]:
    """`request` as requests of at most `most` inputs each, in order; itself alone when it is not longer.

    A single text, a single list of token ids and the parts of one message are one input. Every other member
    stands in each of them.

    Args:
        most: At least 1; None: any number.

    Raises:
        ValueError: `most` is less than 1.
    """
    if most is not None and most < 1:
        raise ValueError(f"a batch takes at least 1 input, not {most}")
    given = request["input"]
    if most is None or not isinstance(given, list) or len(given) <= most or isinstance(given[0], int | dict):
        return [request]
    return [{**request, "input": given[start : start + most]} for start in range(0, len(given), most)]


def join(results: Sequence[Result]) -> Result:
    """One answer from those of the parts, in their order: entries numbered anew, usage and images added up.

    Usage is None when a part does not say it: a sum of some would be wrong.

    Raises:
        ValueError: There are no parts.
        UpstreamFailure: Vectors of different models, which mean nothing beside each other.
    """
    if not results:
        raise ValueError("there are no answers to be joined")
    first = results[0]
    if len(results) == 1:
        return first
    member = "data" if "data" in first.body else "results"
    entries = [entry for result in results for entry in result.body[member]]
    if member == "data":
        models = sorted({str(result.body.get("model")) for result in results})
        if len(models) > 1:
            raise UpstreamFailure(
                f"Parts of this request were answered by different models ({', '.join(models)}), whose vectors cannot "
                "be compared. Send it again, or fewer inputs at once."
            )
        entries = [{**entry, "index": place} for place, entry in enumerate(entries)]
    body = {**first.body, member: entries}
    if "usage" in body:
        body["usage"] = _added([result.body.get("usage") or {} for result in results])
    usages = [result.usage for result in results]
    known = [usage for usage in usages if usage is not None]
    usage = cast("Usage", _added(known)) if len(known) == len(usages) else None
    return Result(body, usage, images=sum(result.images for result in results))


def _added(usages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sums of numbers that all of them have; objects are added up inside."""
    out: dict[str, Any] = {}
    for name, value in usages[0].items():
        values = [usage.get(name) for usage in usages]
        if all(isinstance(one, int | float) for one in values):
            out[name] = sum(cast("list[int | float]", values))
        elif all(isinstance(one, dict) for one in values):
            out[name] = _added(cast("list[dict[str, Any]]", values))
        elif all(one == value for one in values):
            out[name] = value
    return out
