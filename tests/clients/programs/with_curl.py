"""curl: what anybody writes by hand, and reads with no library's help."""

import json
import subprocess

from telling import BONJOUR, PERSON, WEATHER, run

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def curl(at, path, body=None):
    """What it prints; a status of 400 and more is an error."""
    asked = ["-d", json.dumps(body), "-H", "Content-Type: application/json"] if body is not None else []
    done = subprocess.run(
        ["curl", "-sS", "-N", "--fail-with-body", f"{at.url}{path}", "-H", f"Authorization: Bearer {at.key}", *asked],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout


def message(at, messages, **members):
    body = {"model": at.model, "messages": messages, **members}
    return json.loads(curl(at, "/chat/completions", body))["choices"][0]["message"]


def said(text):
    return [{"role": "user", "content": text}]


def stream(at):
    printed = curl(at, "/chat/completions", {"model": at.model, "messages": said(BONJOUR), "stream": True})
    lines = [line.removeprefix("data: ") for line in printed.splitlines() if line.startswith("data: ")]
    if lines[-1] != "[DONE]":
        raise RuntimeError(f"the last line is {lines[-1]}")
    return [choice["delta"].get("content") or "" for line in lines[:-1] for choice in json.loads(line)["choices"]]


def tools(at):
    first = message(at, said(WEATHER), tools=[TOOL])
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "Rain."} for call in first["tool_calls"]]
    last = message(at, [*said(WEATHER), first, *results], tools=[TOOL])
    called = [json.loads(call["function"]["arguments"])["city"] for call in first["tool_calls"]]
    return {"called": called, "text": last["content"]}


def structured(at):
    shape = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA, "strict": True}}
    return json.loads(message(at, said(PERSON), response_format=shape)["content"])


def embeddings(at):
    if at.embedding is None:
        return None
    got = json.loads(curl(at, "/embeddings", {"model": at.embedding, "input": ["one", "two"]}))
    return [row["embedding"] for row in got["data"]]


run(
    chat=lambda at: message(at, said(BONJOUR))["content"],
    stream=stream,
    tools=tools,
    structured=structured,
    embeddings=embeddings,
    models=lambda at: [model["id"] for model in json.loads(curl(at, "/models"))["data"]],
)
