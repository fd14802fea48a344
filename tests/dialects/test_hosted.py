"""A protocol at another host's door: paths and bodies differ, everything else is the protocol's own."""

from __future__ import annotations

from typing import Any, cast

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.dialects import anthropic, gemini, openai
from compatgw.dialects.base import Codec, Dialect, Outgoing, Target
from compatgw.dialects.hosted import Door, hosted
from compatgw.dialects.table import DIALECTS
from compatgw.wire.native import Native

HI: Any = {"model": "x", "messages": [{"role": "user", "content": "Hi"}]}
CLAUDE = Target("Vertex", "claude-sonnet-4-5@20250929")


def chat(dialect: Dialect, request: Any, target: Target) -> Outgoing:
    """The request as it is sent."""
    assert dialect.chat is not None
    return dialect.chat.encode(request, target)


@pytest.mark.parametrize(
    ("stream", "method"), [(False, "rawPredict"), (None, "rawPredict"), (True, "streamRawPredict")]
)
def test_claude_on_vertex(stream: bool | None, method: str) -> None:
    """The model stands in the path, the version in the body; all else is as at home."""
    request = {**HI, **({} if stream is None else {"stream": stream})}
    there, home = (chat(DIALECTS[name], request, CLAUDE) for name in ("vertex-anthropic", "anthropic"))
    body, usual = orjson.loads(there.body), orjson.loads(home.body)

    assert there.path == f"/publishers/anthropic/models/claude-sonnet-4-5@20250929:{method}"
    assert usual.pop("model") == CLAUDE.model
    assert body == {**usual, "anthropic_version": "vertex-2023-10-16"}
    assert (there.headers, there.memo, there.dropped) == (home.headers, home.memo, home.dropped)


def test_claudes_own_clients_pass_on_vertex() -> None:
    """Their body, too, without the model and with Google's version; unknown betas stay behind."""
    codec = DIALECTS["vertex-anthropic"].native["messages"]
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}], "stream": True,
            "anthropic_version": "2023-06-01"}  # fmt: skip
    headers = (("anthropic-beta", "interleaved-thinking-2025-05-14, news-2026-01-01"),)
    sent = codec.encode(Native("messages", cast("Any", body), headers), CLAUDE)
    written = orjson.loads(sent.body)

    assert sent.path.partition("?")[0].endswith("claude-sonnet-4-5@20250929:streamRawPredict")
    assert "model" not in written
    assert written["anthropic_version"] == "vertex-2023-10-16"
    assert dict(sent.headers)["anthropic-beta"] == "interleaved-thinking-2025-05-14"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"toolConfig": {"includeServerSideToolInvocations": True}}, {}),
        ({"toolConfig": {"includeServerSideToolInvocations": True, "a": 1}, "b": 2}, {"toolConfig": {"a": 1}, "b": 2}),
        ({"contents": "includeServerSideToolInvocations"}, {"contents": "includeServerSideToolInvocations"}),
        ({"toolConfig": "includeServerSideToolInvocations"}, {"toolConfig": "includeServerSideToolInvocations"}),
        ({"toolConfig": {}}, {"toolConfig": {}}),
    ],
)
def test_what_a_host_refuses_and_can_do_without_is_omitted(given: Any, expected: Any) -> None:
    """At its place alone, and nothing else of the body."""
    door = Door({}, omits=(("toolConfig", "includeServerSideToolInvocations"),))

    assert orjson.loads(door.through(Outgoing("/x", orjson.dumps(given)), CLAUDE).body) == expected


def test_gemini_on_vertex_is_not_told_what_it_knows() -> None:
    """The Gemini API wants to be told that its own tools stand beside functions; Vertex refuses the word."""
    tools = [{"type": "function", "function": {"name": "f"}}]
    request = {**HI, "tools": tools, "web_search_options": {}}
    target = Target("V", "gemini-3-pro-preview")
    home, there = (chat(DIALECTS[name], request, target) for name in ("gemini", "vertex-gemini"))

    assert b"includeServerSideToolInvocations" in home.body
    assert b"includeServerSideToolInvocations" not in there.body
    assert there.path == home.path
    assert orjson.loads(there.body)["tools"] == orjson.loads(home.body)["tools"]
    plain = chat(DIALECTS["gemini"], HI, target)
    assert chat(DIALECTS["vertex-gemini"], HI, target) == plain


def test_tokens_are_counted_at_a_place_of_their_own() -> None:
    """There the model stays in the body."""
    codec = DIALECTS["vertex-anthropic"].native["count_tokens"]
    sent = codec.encode(Native("count_tokens", {"model": "m", "messages": []}, ()), CLAUDE)

    assert sent.path.partition("?")[0] == "/publishers/anthropic/models/count-tokens:rawPredict"
    assert orjson.loads(sent.body)["model"] == CLAUDE.model


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gpt-4o", "/deployments/gpt-4o/chat/completions"),
        ("a/b?c#d:e", "/deployments/a%2Fb%3Fc%23d%3Ae/chat/completions"),
    ],
)
def test_a_deployment_stands_in_azures_path(model: str, path: str) -> None:
    """And is one piece of it; the body is as it was."""
    target = Target("Azure", model)
    there, home = chat(DIALECTS["azure-deployments"], HI, target), chat(openai.DIALECT, HI, target)

    assert there == home._replace(path=path)


def test_azures_other_endpoints_are_under_the_deployment_too() -> None:
    """But not those that it has for all of them."""
    target = Target("Azure", "d")
    there = DIALECTS["azure-deployments"]
    assert there.embeddings is not None
    assert there.embeddings.encode({"model": "d", "input": "a"}, target).path == "/deployments/d/embeddings"
    responses = there.native["responses"].encode(Native("responses", {"model": "d", "input": "a"}, ()), target)
    assert responses.path == "/responses"


@pytest.mark.parametrize(
    ("name", "home"),
    [("azure-deployments", openai.DIALECT), ("vertex-anthropic", anthropic.DIALECT), ("vertex-gemini", gemini.DIALECT)],
)
def test_everything_but_requests_is_the_protocols_own(name: str, home: Dialect) -> None:
    """Every codec that it has is there, and reads as ever."""
    there = DIALECTS[name]
    assert there.name == name
    assert there.native.keys() == home.native.keys()
    for field in Dialect.__dataclass_fields__:
        ours, theirs = getattr(there, field), getattr(home, field)
        if isinstance(theirs, Codec):
            assert type(ours) is type(theirs)
            for member in Codec.__dataclass_fields__:
                assert member == "encode" or getattr(ours, member) == getattr(theirs, member)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text('ab"\\', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abm", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(
    members=st.dictionaries(st.sampled_from(["model", "stream", "a", "b"]), _json),
    model=st.text(min_size=1, max_size=6),
)
def test_any_body_goes_through(members: dict[str, Any], model: str) -> None:
    """What is not named in the door is left alone, and no model leads to another path."""
    door = Door({"/x": "/m/{model}:one"}, streamed={"/x": "/m/{model}:many"}, drop=("model",), adds={"v": 1})
    found = door.through(Outgoing("/x?beta=true", orjson.dumps(members)), Target("V", model))
    path, _, query = found.path.partition("?")

    assert orjson.loads(found.body) == {**{k: v for k, v in members.items() if k != "model"}, "v": 1}
    assert query == "beta=true"
    assert path.endswith(":many" if members.get("stream") is True else ":one")
    assert path.count("/") == 2


def test_a_body_that_need_not_change_is_not_read() -> None:
    """Uploads of any kind pass."""
    door = Door({"/audio": "/deployments/{model}/audio"})

    assert door.through(Outgoing("/audio", b"\xff no json"), Target("V", "m")) == Outgoing(
        "/deployments/m/audio", b"\xff no json"
    )
    assert hosted(openai.DIALECT, "x", door).name == "x"
