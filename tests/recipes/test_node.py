"""Recipe: a client in another language, over `compatgw-testing serve` and its small administration."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

SCRIPT = """
const origin = process.argv[1];
const answer = await fetch(`${origin}/openai/v1/chat/completions`, {
  method: "POST",
  headers: {"content-type": "application/json", authorization: "Bearer sk-fake-openai"},
  body: JSON.stringify({model: "gpt-4o", stream: true, messages: [{role: "user", content: "Hi"}]}),
});
let text = "";
for (const line of (await answer.text()).split("\\n")) {
  if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
  for (const choice of JSON.parse(line.slice(6)).choices) text += choice.delta.content ?? "";
}
console.log(text);
"""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """The fakes as a process of their own, as a project in another language starts them."""
    command = [sys.executable, "-m", "compatgw_testing", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield next(line for line in server.stdout if "serves on" in line).split("serves on ")[1].split()[0]
        server.terminate()
        server.stdout.read()


@pytest.fixture(autouse=True)
def clean(origin: str) -> None:
    """Each test begins with fakes that know nothing."""
    assert httpx.post(f"{origin}/_fake/reset").json() == {"ok": True}


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_node_reads_a_scripted_stream(origin: str) -> None:
    """Scripted over HTTP, read by Node's own fetch, looked up in the journal over HTTP."""
    httpx.post(f"{origin}/_fake/openai/script", json={"when": {"user": "Hi"}, "steps": [{"reply": "Bonjour, Node"}]})

    ran = subprocess.run(
        ["node", "--input-type=module", "-e", SCRIPT, origin], capture_output=True, text=True, timeout=30
    )

    assert ran.stdout == "Bonjour, Node\n", ran.stderr
    calls = httpx.get(f"{origin}/_fake/openai/calls").json()["calls"]
    assert [call["outcome"] for call in calls] == ["completed"]


def test_curl_gets_what_was_scripted(origin: str) -> None:
    """Any client will do."""
    httpx.post(f"{origin}/_fake/anthropic/script", json=[{"fail": "overloaded"}, {"reply": "Bonjour, curl"}])
    body = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    command = ["curl", "-s", f"{origin}/anthropic/v1/messages", "-H", "x-api-key: sk-ant-fake"]
    command += ["-H", "anthropic-version: 2023-06-01", "-H", "content-type: application/json", "-d", json.dumps(body)]

    first, second = (json.loads(subprocess.run(command, capture_output=True, timeout=30).stdout) for _ in range(2))

    assert first["error"]["type"] == "overloaded_error"
    assert second["content"][0]["text"] == "Bonjour, curl"
    assert httpx.get(f"{origin}/_fake/anthropic/verify").json()["ok"] is True
