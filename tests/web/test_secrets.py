"""A seeded secret appears in no log, no error, no repr and no URL, whatever goes wrong."""

import logging

import orjson
import pytest

from tests.canned import KEY, STREAM, WORD, Canned, ask, completion, gateway

SECRET = "sk-upstream-secret"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "up",
    [
        Canned(completion()),
        Canned(f'{{"error":{{"message":"Incorrect API key provided: {SECRET}"}}}}'.encode(), 401),
        Canned(f"<html>{SECRET}</html>".encode(), 500, kind="text/html"),
        Canned(f'{{"error":{{"message":"{SECRET}"}}}}'.encode(), 200),
        Canned([WORD, f'data: {{"error":{{"message":"{SECRET}"}}}}\n\n'.encode()], kind=STREAM),
        Canned([], status=0, then="break"),
    ],
)
async def test_the_providers_key_never_shows(up: Canned, stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Callers and log readers never see it, even if the upstream repeats it."""
    app = gateway(up)
    with caplog.at_level(logging.DEBUG):
        async with app.client() as client:
            body = orjson.dumps(ask(stream=stream))
            headers = {**KEY, "content-type": "application/json"}
            got = await client.post("/v1/chat/completions", content=body, headers=headers)
    shown = got.text + repr(got.headers) + caplog.text + repr(app) + repr(app.settings) + repr(app._standing.house)
    assert SECRET not in shown
    assert b"k" in up.seen[0][b"authorization"]
