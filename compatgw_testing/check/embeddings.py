"""Assertions on `POST /embeddings`, where a server has it."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from compatgw_testing.check.base import (
    Blocked,
    Skips,
    dig,
    expect,
    expect_same,
    gathered,
    is_count,
    must,
    short,
    should,
)

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe
    from compatgw_testing.check.wire import Answer

ABSENT = frozenset({403, 404, 405, 501})


async def _ask(probe: Probe, given: object = "hello", **members: object) -> Answer:
    body = {"model": probe.embedding_model, "input": given, **members}
    answer = await probe.send("POST", "/embeddings", body=body)
    if answer.status in ABSENT:
        raise Skips(f"embeddings are not served here: {answer.said}")
    if answer.status == 400 and given == "hello" and not members:
        raise Skips(f"{short(probe.embedding_model)} does not embed: {answer.said}")
    return answer


async def _rows(probe: Probe, given: object = "hello", **members: object) -> list[Any]:
    answer = await _ask(probe, given, **members)
    data = dig(answer.body(), "data") if answer.status == 200 else None
    if not isinstance(data, list) or not data:
        raise Blocked(f"there are no embeddings: {answer.said}")
    return data


@must("embeddings.status")
async def status(probe: Probe) -> None:
    """A text is answered 200 with `object: list`."""
    answer = await _ask(probe)
    expect(answer.status == 200, answer.said)
    expect_same(answer.body().get("object"), "list", "object")


@must("embeddings.vector")
async def vector(probe: Probe) -> None:
    """An embedding is a list of numbers under `object: embedding`."""
    row = (await _rows(probe))[0]
    numbers = dig(row, "embedding")
    ok = isinstance(numbers, list) and bool(numbers) and all(isinstance(one, (int, float)) for one in numbers)
    expect(ok and dig(row, "object") == "embedding", f"the row is {short(row)}")


@must("embeddings.order")
async def order(probe: Probe) -> None:
    """A list of three texts gives three rows with the indices 0, 1 and 2."""
    rows = await _rows(probe, ["one", "two", "three"])
    expect_same([dig(row, "index") for row in rows], [0, 1, 2], "the list of indices")


@must("embeddings.same_length")
async def same_length(probe: Probe) -> None:
    """All embeddings of a model have the same length."""
    lengths = {len(dig(row, "embedding") or ()) for row in await _rows(probe, ["one", "two", "three"])}
    expect(len(lengths) == 1, f"the lengths are {short(sorted(lengths))}")


@must("embeddings.differ")
async def differ(probe: Probe) -> None:
    """Different texts have different embeddings."""
    rows = await _rows(probe, ["one", "two", "three"])
    vectors = [short(dig(row, "embedding"), 4000) for row in rows]
    expect(len(set(vectors)) == len(vectors), "two texts have the same embedding")


@should("embeddings.usage")
async def usage(probe: Probe) -> None:
    """`usage` counts prompt and total tokens."""
    given = dig((await _ask(probe)).body(), "usage")
    expect(is_count(dig(given, "prompt_tokens")) and is_count(dig(given, "total_tokens")), f"usage is {short(given)}")


@should("embeddings.base64")
async def in_base64(probe: Probe) -> None:
    """`encoding_format: base64` gives the same numbers as little-endian floats, or is refused."""
    answer = await _ask(probe, "hello", encoding_format="base64")
    if answer.status in (400, 422):
        raise Skips(f"base64 is refused: {answer.said}")
    text = dig(answer.body(), "data", 0, "embedding")
    plain = dig((await _rows(probe))[0], "embedding")
    expect(isinstance(text, str), f"the embedding is {short(text)}")
    try:
        size = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        size = -1
    expect(size == 4 * len(plain or ()), f"{size} bytes stand for {len(plain or ())} numbers")


@should("embeddings.empty")
async def empty(probe: Probe) -> None:
    """An empty list of texts is refused with 400."""
    await _rows(probe)
    answer = await _ask(probe, [])
    expect(answer.status in (400, 422), answer.said)


ASSERTIONS = gathered(globals())
