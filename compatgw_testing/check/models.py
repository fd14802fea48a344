"""Assertions on `GET /models`: the list, its entries, one entry alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from compatgw_testing.check.base import (
    Blocked,
    Skips,
    dig,
    expect,
    expect_same,
    gathered,
    is_count,
    is_text,
    may,
    must,
    short,
    should,
)

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe

NOBODY = "no-such-model-5f1c"


async def _entries(probe: Probe) -> list[dict[str, Any]]:
    answer = await probe.send("GET", "/models")
    data = dig(answer.body(), "data")
    if answer.status != 200 or not isinstance(data, list) or not data:
        raise Blocked(f"there is no list of models: {answer.said}")
    return [one if isinstance(one, dict) else {} for one in data]


@must("models.status")
async def status(probe: Probe) -> None:
    """`GET /models` answers 200."""
    answer = await probe.send("GET", "/models")
    expect(answer.status == 200, answer.said)


@must("models.content_type")
async def content_type(probe: Probe) -> None:
    """The list of models is `application/json`."""
    answer = await probe.send("GET", "/models")
    expect_same(answer.media_type, "application/json", "the content type")


@must("models.list")
async def is_list(probe: Probe) -> None:
    """The list is an object with `object: list` and a list `data`."""
    answer = await probe.send("GET", "/models")
    body = answer.body()
    expect(body.get("object") == "list" and isinstance(body.get("data"), list), answer.said)


@should("models.nonempty")
async def nonempty(probe: Probe) -> None:
    """At least one model is listed."""
    answer = await probe.send("GET", "/models")
    expect(bool(dig(answer.body(), "data")), answer.said)


@must("models.entry_id")
async def entry_id(probe: Probe) -> None:
    """Each model has an `id` that is a string."""
    for one in await _entries(probe):
        expect(is_text(one.get("id")), short(one))


@must("models.entry_object")
async def entry_object(probe: Probe) -> None:
    """Each model says `object: model`."""
    for one in await _entries(probe):
        expect(one.get("object") == "model", short(one))


@should("models.entry_created")
async def entry_created(probe: Probe) -> None:
    """Each model has `created` as whole seconds since 1970."""
    for one in await _entries(probe):
        expect(is_count(one.get("created")) and one["created"] < 10**10, short(one))


@should("models.entry_owner")
async def entry_owner(probe: Probe) -> None:
    """Each model has a string `owned_by`."""
    for one in await _entries(probe):
        expect(isinstance(one.get("owned_by"), str), short(one))


@should("models.unique")
async def unique(probe: Probe) -> None:
    """No id is listed twice."""
    ids = [str(one.get("id")) for one in await _entries(probe)]
    twice = sorted({one for one in ids if ids.count(one) > 1})
    expect(not twice, f"listed twice: {short(twice)}")


@may("models.asked_is_listed")
async def asked_is_listed(probe: Probe) -> None:
    """The model that is asked here is listed."""
    ids = [one.get("id") for one in await _entries(probe)]
    expect(probe.model in ids, f"{short(probe.model)} is not among {short(ids)}")


@should("models.retrieve")
async def retrieve(probe: Probe) -> None:
    """`GET /models/{id}` gives the entry of that id."""
    name = str((await _entries(probe))[0].get("id"))
    answer = await probe.send("GET", f"/models/{quote(name, safe='/:')}")
    expect(answer.status == 200, answer.said)
    body = answer.body()
    expect(body.get("id") == name and body.get("object") == "model", answer.said)


@should("models.retrieve_unknown")
async def retrieve_unknown(probe: Probe) -> None:
    """`GET /models/{id}` of a model that does not exist is 404 with an error envelope."""
    known = await probe.send("GET", f"/models/{quote(str((await _entries(probe))[0].get('id')), safe='/:')}")
    if known.status != 200:
        raise Skips("single models cannot be retrieved here")
    answer = await probe.send("GET", f"/models/{NOBODY}")
    expect(answer.status == 404 and is_text(dig(answer.error, "message")), answer.said)


ASSERTIONS = gathered(globals())
