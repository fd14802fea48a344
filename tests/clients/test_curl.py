"""What people try first: curl, as one would type it, on every surface."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compatgw_testing.harness import KEY
from tests.clients.world import BONJOUR, UPSTREAMS, world

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture
def curl(serve: Callable[..., str], tmp_path: Path) -> Callable[..., str]:
    """Runs lines of a shell in which `$BASE` is the gateway's /v1 and `$KEY` its key; gives what they print."""
    origin = serve(world())

    def run(lines: str, **names: str) -> str:
        environ = {"BASE": f"{origin}/v1", "KEY": KEY, "PATH": "/usr/local/bin:/usr/bin:/bin", **names}
        done = subprocess.run(
            ["sh", "-ec", lines], capture_output=True, text=True, timeout=30, env=environ, cwd=tmp_path
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def data(printed: str) -> list[Any]:
    """The events of a stream, without their names and the end mark."""
    lines = [line.removeprefix("data: ") for line in printed.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


@pytest.mark.parametrize("name", sorted(UPSTREAMS))
def test_chat(curl: Callable[..., str], name: str) -> None:
    """Plain and streamed."""
    body = r"""curl -sS $BASE/chat/completions -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
      -d '{"model": "'$MODEL'", "messages": [{"role": "user", "content": "Please say bonjour."}]}'"""
    got = json.loads(curl(body, MODEL=UPSTREAMS[name]["model"]))
    assert got["choices"][0]["message"]["content"] == BONJOUR
    printed = curl(body.replace("-sS", "-sSN").replace('"messages"', '"stream": true, "messages"'), MODEL=got["model"])
    assert printed.endswith("data: [DONE]\n\n")
    pieces = [choice["delta"].get("content") or "" for event in data(printed) for choice in event["choices"]]
    assert "".join(pieces) == BONJOUR


@pytest.mark.parametrize("name", sorted(UPSTREAMS))
def test_messages(curl: Callable[..., str], name: str) -> None:
    """With Anthropic's own headers; streamed, the events have their names."""
    body = r"""curl -sS $BASE/messages -H "x-api-key: $KEY" -H "anthropic-version: 2023-06-01" \
      -H "content-type: application/json" \
      -d '{"model": "'$MODEL'", "max_tokens": 99, "messages": [{"role": "user", "content": "Please say bonjour."}]}'"""
    got = json.loads(curl(body, MODEL=UPSTREAMS[name]["model"]))
    assert got["content"][0]["text"] == BONJOUR
    printed = curl(body.replace("-sS", "-sSN").replace('"max', '"stream": true, "max'), MODEL=UPSTREAMS[name]["model"])
    assert printed.startswith("event: message_start\n")
    assert data(printed)[-1] == {"type": "message_stop"}


@pytest.mark.parametrize("name", sorted(UPSTREAMS))
def test_responses(curl: Callable[..., str], name: str) -> None:
    """Plain, streamed, and looked up afterwards."""
    body = r"""curl -sS $BASE/responses -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
      -d '{"model": "'$MODEL'", "input": "Please say bonjour."}'"""
    got = json.loads(curl(body, MODEL=UPSTREAMS[name]["model"]))
    assert got["output"][-1]["content"][0]["text"] == BONJOUR
    again = json.loads(curl(f'curl -sS $BASE/responses/{got["id"]} -H "Authorization: Bearer $KEY"'))
    assert again["output"] == got["output"]
    printed = curl(body.replace("-sS", "-sSN").replace('"input"', '"stream": true, "input"'), MODEL=got["model"])
    assert data(printed)[-1]["type"] == "response.completed"


@pytest.mark.parametrize("name", sorted(name for name, of in UPSTREAMS.items() if "embedding" in of))
def test_embeddings(curl: Callable[..., str], name: str) -> None:
    """Numbers, unless base64 is asked for."""
    printed = curl(
        r"""curl -sS $BASE/embeddings -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
          -d '{"model": "'$MODEL'", "input": ["one", "two"]}'""",
        MODEL=UPSTREAMS[name]["embedding"],
    )
    rows = json.loads(printed)["data"]
    assert [row["index"] for row in rows] == [0, 1]
    assert isinstance(rows[0]["embedding"][0], float)


def test_images(curl: Callable[..., str]) -> None:
    """Made, written to a file by the shell, and edited as a form."""
    printed = curl(
        r"""curl -sS $BASE/images/generations -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
          -d '{"model": "openai/gpt-image-1", "prompt": "a cat"}' > made.json
        sed 's/.*"b64_json":"\([^"]*\)".*/\1/' made.json | base64 -d > cat.png
        curl -sS $BASE/images/edits -H "Authorization: Bearer $KEY" \
          -F model=openai/gpt-image-1 -F prompt="a cat with a hat" -F image=@cat.png"""
    )
    assert json.loads(printed)["data"][0]["b64_json"]


def test_audio(curl: Callable[..., str]) -> None:
    """Speech into a file, and the file as a form."""
    printed = curl(
        r"""curl -sS $BASE/audio/speech -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
          -d '{"model": "openai/tts-1", "voice": "alloy", "input": "Hello", "response_format": "wav"}' -o hello.wav
        curl -sS $BASE/audio/transcriptions -H "Authorization: Bearer $KEY" \
          -F model=openai/whisper-1 -F file=@hello.wav"""
    )
    assert json.loads(printed)["text"]


def test_the_rest(curl: Callable[..., str]) -> None:
    """Models, legacy completions, moderations, ranking, and an error with its status."""
    key = '-H "Authorization: Bearer $KEY" -H "Content-Type: application/json"'
    assert json.loads(curl(f"curl -sS $BASE/models {key}"))["object"] == "list"
    done = curl(f"""curl -sS $BASE/completions {key} -d '{{"model": "openai/gpt-4o-mini", "prompt": "bonjour"}}'""")
    assert json.loads(done)["choices"][0]["text"]
    judged = curl(f"""curl -sS $BASE/moderations {key} -d '{{"input": "Hi"}}'""", MODEL="")
    assert "results" in judged or "model" in judged
    ranked = curl(
        f"""curl -sS $BASE/rerank {key} -d '{{"model": "cohere/rerank-v3.5", "query": "q", "documents": ["a", "b"]}}'"""
    )
    assert len(json.loads(ranked)["results"]) == 2
    failed = curl(f"""curl -sS -w ' %{{http_code}}' $BASE/chat/completions {key} -d '{{"model": 7}}'""")
    body, _, status = failed.rpartition(" ")
    assert (status, json.loads(body)["error"]["type"]) == ("400", "invalid_request_error")
