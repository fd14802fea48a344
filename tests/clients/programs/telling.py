"""What every program here does: it reads where the gateway is, tries one surface after another, and tells of each.

A program is run by the Python of an environment that has its client; it prints a line of JSON for each surface
over each upstream. What it is asked for and what is right is the test's (`world.py`, `test_clients.py`).

What does not live here: any client.
"""

import asyncio
import inspect
import json
import sys
import traceback
from typing import Any, NamedTuple, TextIO

BONJOUR = "Please say bonjour."
WEATHER = "What is the weather in Paris?"
PERSON = "Tell me of one person."


class At(NamedTuple):
    """One upstream behind the gateway.

    Attributes:
        origin: Of the gateway; `url` ends in /v1.
        key: For it.
        model, embedding, rerank: Names of models; None where the upstream has none.
    """

    origin: str
    url: str
    key: str
    model: str
    embedding: str | None
    rerank: str | None


def run(**surfaces: Any) -> None:
    """Calls each of `surfaces`, functions of an `At`, for each upstream; one that gives None does not apply.

    An underscore in a name is a space in what is told.
    """
    told = json.load(sys.stdin)
    # What libraries print goes elsewhere: the output is the lines alone.
    lines, sys.stdout = sys.stdout, sys.stderr
    # One loop for all: clients keep connections, which belong to the loop that made them.
    with asyncio.Runner() as runner:
        _all(told, surfaces, runner, lines)


def _all(told: dict[str, Any], surfaces: dict[str, Any], runner: asyncio.Runner, lines: TextIO) -> None:
    for name, names in told["upstreams"].items():
        at = At(
            told["origin"], f"{told['origin']}/v1", told["key"],
            names["model"], names.get("embedding"), names.get("rerank"),
        )  # fmt: skip
        for surface, call in surfaces.items():
            line: dict[str, Any] = {"surface": surface.replace("_", " "), "upstream": name}
            try:
                got = call(at)
                if inspect.isawaitable(got):
                    got = runner.run(_awaited(got))
            except BaseException as error:  # noqa: BLE001 - whatever a client raises is what is told of it
                traceback.print_exc()
                line["error"] = f"{type(error).__name__}: {error}"[:1500]
            else:
                if got is None:
                    continue
                line["got"] = got
            print(json.dumps(line), flush=True, file=lines)


async def _awaited(what: Any) -> Any:
    return await what
