"""Any request at all: it is refused by name, or every dialect takes what the hub makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.dialects.anthropic import DIALECT as ANTHROPIC
from compatgw.dialects.base import Context, Leftovers, Target
from compatgw.dialects.cohere import DIALECT as COHERE
from compatgw.dialects.gemini import DIALECT as GEMINI
from compatgw.dialects.openai import DIALECT as OPENAI
from compatgw.dialects.table import DIALECTS as TABLE
from compatgw.errors import GatewayError, InvalidRequest
from compatgw.surfaces import chat
from compatgw.surfaces.base import View
from compatgw.surfaces.messages import COUNT_TOKENS, MESSAGES
from compatgw.surfaces.messages.face import MessagesFace
from tests.properties.answers import Abstract, abstracts
from tests.properties.judges import cut, drive
from tests.properties.renderers import RENDERERS, Renderer
from tests.surfaces.messages.bench import left_out, read
from tests.surfaces.messages.grammar import accumulated, check
from tests.surfaces.messages.test_claude_code import main_request

DIALECTS = (
    (ANTHROPIC, "claude-sonnet-5"),
    (COHERE, "command-a-03-2025"),
    (GEMINI, "gemini-2.5-flash"),
    (OPENAI, "gpt-5"),
)
CHAT: Any = {name: dialect.chat for name, dialect in TABLE.items()}
REQUEST = MESSAGES.parse(b'{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}')
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
_texts = st.text(max_size=5)
_text = st.builds(lambda text: {"type": "text", "text": text}, _texts)
_media = st.sampled_from(
    [
        {"type": "image", "source": PNG},
        {"type": "image", "source": {"type": "url", "url": "https://x/i.png"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "T"}, "title": "N"},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "C"}]}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}},
        {"type": "search_result", "source": "s", "title": "t", "content": []},
        {"type": "container_upload", "file_id": "f"},
    ]
)
_ids = st.sampled_from(["toolu_1", "toolu_2", "functions.f:0", ""])
_uses = st.builds(lambda call, text: {"type": "tool_use", "id": call, "name": "f", "input": {"a": text}}, _ids, _texts)
_results = st.builds(
    lambda call, content, wrong: {"type": "tool_result", "tool_use_id": call, "content": content, "is_error": wrong},
    _ids,
    _texts | st.lists(_text | _media, max_size=2),
    st.booleans(),
)
_thoughts = st.sampled_from(
    [
        {"type": "thinking", "thinking": "Hm", "signature": "S"},
        {"type": "thinking", "thinking": "Hm", "signature": ""},
        {"type": "redacted_thinking", "data": "D"},
        {"type": "redacted_thinking", "data": "cgw1.broken"},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
    ]
)
_messages = st.one_of(
    st.builds(lambda c: {"role": "user", "content": c}, _texts | st.lists(_text | _media | _results, max_size=4)),
    st.builds(lambda c: {"role": "assistant", "content": c}, _texts | st.lists(_text | _uses | _thoughts, max_size=4)),
    st.builds(lambda c: {"role": "system", "content": c}, _texts | st.lists(_text, max_size=2)),
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70_000) | st.floats(allow_nan=False, allow_infinity=False) | _texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_texts | st.just("type"), inner, max_size=2),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything in `value`."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """`value` with something else at `path`."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


def served(body: Any) -> bool:
    """Parses a request and writes it for every dialect; False where it is refused, by its path."""
    try:
        parsed = MESSAGES.parse(orjson.dumps(body))
    except InvalidRequest as error:
        assert error.param is not None or error.code in ("invalid_json", "invalid_type"), error.message
        return False
    chat.validator().validate_python(parsed.request, strict=True)
    assert parsed.native is not None
    for dialect, model in DIALECTS:
        target = Target("Vendor", model, unsupported="drop")
        left_out(parsed, Leftovers(target))
        assert dialect.chat is not None
        try:
            dialect.chat.encode(parsed.request, target)
        except GatewayError as error:
            assert error.status == 400, error.message
    native = orjson.loads(ANTHROPIC.native["messages"].encode(parsed.native, Target("A", "claude-sonnet-5")).body)
    assert native["model"] == "claude-sonnet-5"
    return True


@settings(max_examples=150, deadline=None)
@given(st.lists(_messages, min_size=1, max_size=5))
def test_any_conversation(messages: list[Any]) -> None:
    """Blocks in any order, calls without results and results without calls."""
    served({"model": "m", "max_tokens": 9, "messages": messages, "tools": [{"name": "f", "input_schema": {}}]})


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_request(data: st.DataObject) -> None:
    """A good request with anything anywhere in it."""
    body = main_request(
        "m",
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": PNG}]}]},
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        stop_sequences=["x"],
    )  # fmt: skip
    place = data.draw(st.sampled_from(list(places(body))))
    broken = changed(body, place, data.draw(_json))
    served(broken)
    try:
        COUNT_TOKENS.parse(orjson.dumps(broken))
    except InvalidRequest as error:
        assert error.status == 400


FINISH = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def spoken(message: dict[str, Any]) -> dict[str, Any]:
    """A message, as `Abstract.essence` has an answer."""
    content, usage = message["content"], message["usage"]
    read_, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    prompt, completion = usage["input_tokens"] + read_ + written, usage["output_tokens"]
    return {
        "text": "".join(block["text"] for block in content if block["type"] == "text"),
        "reasoning": "".join(block["thinking"] for block in content if block["type"] == "thinking"),
        "calls": [(block["name"], block["input"]) for block in content if block["type"] == "tool_use"],
        "finish": message["stop_reason"],
        "usage": (prompt, completion, prompt + completion),
    }


@pytest.mark.parametrize("renderer", RENDERERS, ids=[renderer.dialect for renderer in RENDERERS])
@settings(max_examples=40, deadline=None)
@given(answer=abstracts(), places=st.lists(st.integers(0, 3000), max_size=8))
def test_any_answer_of_any_vendor(renderer: Renderer, answer: Abstract, places: list[int]) -> None:
    """As that vendor writes it, plain and streamed, cut anywhere: told in this protocol it says the same."""
    codec = CHAT[renderer.dialect]
    context = Context(Target("Vendor", "m-1"), "chatcmpl-ours", 1_780_000_000)
    wanted = {**answer.essence(), "finish": FINISH[answer.finish]}
    plain = MessagesFace(REQUEST, View("word", 1)).whole(codec.decode(orjson.dumps(renderer.whole(answer)), context))
    assert spoken(orjson.loads(plain)) == wanted
    face = MessagesFace(REQUEST, View("word", 1))
    written = b"".join(event.write(b"\n") for event in renderer.stream(answer))
    body = face.events(drive(codec.stream(context), cut(written, places))) + face.end()
    check(read(body))
    assert spoken(accumulated(body)) == wanted


def test_the_good_request_is_good() -> None:
    """What the others start from is served."""
    assert served(main_request("m"))
