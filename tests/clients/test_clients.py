"""Other people's clients against a gateway that is mounted in a host on a real port: every surface they use, over four upstream protocols."""

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from compatgw_testing.harness import KEY
from tests.clients.judging import wrong
from tests.clients.running import CLIENTS, SECONDS, command, told
from tests.clients.world import UPSTREAMS, world


@pytest.mark.timeout(SECONDS + 30)
@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_a_client_works(
    name: str, serve: Callable[..., str], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Plain, streamed, tools, structured, vectors and what else it has; nothing that it should tell of is missing."""
    client = CLIENTS[name]
    run = command(client, tmp_path)
    if run is None:
        pytest.skip(f"{name} is not installed; `scripts/clients install` does it")

    host = Starlette(routes=[Mount("/ai", world())])
    lines, said = told(run, tmp_path, f"{serve(host)}/ai", KEY)

    faults = [f"{line['surface']} over {line['upstream']}: {fault}" for line in lines if (fault := wrong(line))]
    record_property("cells", (name, len(lines) - len(faults), client.told))
    if faults or len(lines) != client.told:
        pytest.fail(f"{len(lines)} of {client.told} told\n" + "\n".join([*faults, said]), pytrace=False)
    assert {line["upstream"] for line in lines} <= set(UPSTREAMS)


def test_the_judge_finds_what_is_wrong() -> None:
    """An error, no text, a stream in one piece, a tool that was not called, half an object."""
    bad: list[tuple[str, object]] = [
        ("chat", ""),
        ("responses stream", ["Bonjour le monde, comment allez-vous?"]),
        ("messages tools", {"called": [], "text": "It rains in Paris."}),
        ("structured by tool", {"name": "Ann"}),
        ("structured", {"name": "Ann", "age": "41"}),
        ("embeddings", [[0.1], [0.1]]),
        ("rerank", [0, 7]),
        ("models", []),
        ("tokens", 0),
        ("image", ""),
        ("speech", 0),
        ("transcription", ""),
    ]
    for surface, got in bad:
        assert wrong({"surface": surface, "got": got}) is not None, surface
    assert wrong({"surface": "chat", "error": "Oops"}) == "Oops"
