"""What becomes of a body of `POST /v1/messages`: the hub's request, what only its own protocol can do, and errors."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from compatgw.dialects.base import Leftovers, Target
from compatgw.errors import InvalidRequest, UnsupportedParameter
from compatgw.surfaces import chat
from compatgw.surfaces.base import Parsed
from compatgw.surfaces.messages import COUNT_TOKENS, MESSAGES
from compatgw.wire.messages import own_id, portable_id, sealed
from tests.surfaces.messages.bench import left_out

HI: Any = [{"role": "user", "content": "Hi"}]
TOOL: Any = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
MARK = {"type": "ephemeral"}


def parsed(messages: Any = HI, **members: Any) -> Parsed:
    """A request, parsed; the chat surface's own validator finds its hub request good."""
    body = {"model": "m", "max_tokens": 99, "messages": messages, **members}
    before = orjson.dumps(body)
    found = MESSAGES.parse(before)
    chat.validator().validate_python(found.request, strict=True)
    assert found.native is None or orjson.dumps(found.native.body) == before
    return found


def hub(messages: Any = HI, **members: Any) -> Any:
    """The hub's request."""
    return parsed(messages, **members).request


def told(*blocks: Any, role: str = "user") -> Any:
    """The hub's messages of one message of blocks, behind one of the user's where it is the assistant's."""
    before = [] if role == "user" else HI
    return hub([*before, {"role": role, "content": list(blocks)}])["messages"][len(before) :]


def dropped(found: Parsed) -> list[str]:
    """What an upstream of another protocol does not get, under the policy that never refuses."""
    return left_out(found, Leftovers(Target("Other", "m", unsupported="drop")))


def text(words: str, **members: Any) -> Any:
    """A text block."""
    return {"type": "text", "text": words, **members}


def use(call: str = "toolu_a", name: str = "f", **given: Any) -> Any:
    """A call."""
    return {"type": "tool_use", "id": call, "name": name, "input": given}


def result(call: str = "toolu_a", **members: Any) -> Any:
    """The result of a call."""
    return {"type": "tool_result", "tool_use_id": call, **members}


# --- members ---------------------------------------------------------------------------------


def test_the_least_request() -> None:
    """Model, length and messages; nothing is made up."""
    assert hub() == {"model": "m", "max_tokens": 99, "messages": HI}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"stop_sequences": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"stop_sequences": []}, {}),
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 5}, {"temperature": 0.5, "top_p": 0.9, "top_k": 5}),
        ({"stream": True}, {"stream": True}),
        ({"stream": False}, {}),
        ({"service_tier": "auto"}, {}),
        ({"service_tier": "standard_only"}, {"service_tier": "default"}),
        ({"metadata": {"user_id": "u-1"}}, {"user": "u-1"}),
        ({"metadata": {}}, {}),
        ({"cache_control": MARK}, {"cache_control": MARK}),
        ({"thinking": {"type": "disabled"}}, {"reasoning_effort": "none"}),
        ({"thinking": {"type": "adaptive"}}, {"reasoning_effort": "medium"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"reasoning_effort": "low"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, {"reasoning_effort": "medium"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 9000}}, {"reasoning_effort": "high"}),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, {"reasoning_effort": "max"}),
        ({"output_config": {"effort": "low"}}, {"reasoning_effort": "low"}),
        ({"system": None, "temperature": None, "thinking": None}, {}),
        ({"tool_choice": {"type": "any"}}, {}),
    ],
)
def test_members(given: Any, wanted: Any) -> None:
    """Each has its place in the hub's request, and nothing else is there."""
    assert hub(**given) == {"model": "m", "max_tokens": 99, "messages": HI, **wanted}


def test_a_long_user_id_becomes_a_short_one() -> None:
    """Others take 64 characters; the same id always gives the same."""
    one, two = (hub(metadata={"user_id": "user_" + "a" * 90})["user"] for _ in range(2))
    assert one == two
    assert len(one) == 64


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        ({"type": "auto", "disable_parallel_tool_use": True}, {"tool_choice": "auto", "parallel_tool_calls": False}),
        ({"type": "any", "disable_parallel_tool_use": False}, {"tool_choice": "required"}),
    ],
)
def test_the_choice_among_tools(choice: Any, wanted: Any) -> None:
    """Every form of it, and the switch inside of it."""
    found = hub(tools=[TOOL], tool_choice=choice)
    del found["tools"]
    assert found == {"model": "m", "max_tokens": 99, "messages": HI, **wanted}


def test_tools() -> None:
    """Name, description and schema; marks stay, members of the vendor's own are noted."""
    tool = {**TOOL, "type": "custom", "description": "d", "cache_control": MARK, "defer_loading": True}
    found = parsed(tools=[tool])
    function = {"name": "f", "description": "d", "parameters": TOOL["input_schema"]}
    assert found.request["tools"] == [{"type": "function", "function": function, "cache_control": MARK}]
    assert dropped(found) == ["tools.defer_loading"]


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {}}, "required": [], "additionalProperties": False}, False),
        ({"type": "object", "properties": {}}, False),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {"b": {}}}}},
                "required": ["a"],
                "additionalProperties": False,
            },
            False,
        ),
    ],
)
def test_strict_tools(schema: Any, strict: bool) -> None:
    """`strict` goes on where other vendors' strict mode takes the schema, else it is noted."""
    found = parsed(tools=[{"name": "f", "input_schema": schema, "strict": True}])
    assert found.request["tools"][0]["function"].get("strict", False) is strict
    assert dropped(found) == ([] if strict else ["tools.strict"])


@pytest.mark.parametrize("member", ["output_config", "output_format"])
def test_structured_output(member: str) -> None:
    """The schema of either member becomes a `response_format`."""
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    form = {"type": "json_schema", "schema": schema}
    wanted = {"type": "json_schema", "json_schema": {"name": "output", "schema": schema, "strict": True}}
    assert hub(**{member: {"format": form} if member == "output_config" else form})["response_format"] == wanted


def test_long_names_of_tools() -> None:
    """Names over 64 characters are cut, alike in tools, choice and history; the face knows the way back."""
    name = "mcp__" + "server_" * 12 + "tool"
    talk = [*HI, {"role": "assistant", "content": [use(name=name)]}, {"role": "user", "content": [result()]}]
    found = parsed(talk, tools=[{**TOOL, "name": name}], tool_choice={"type": "tool", "name": name})
    (short,) = found.asked["names"]
    assert found.asked["names"][short] == name
    assert len(short) == 64
    assert found.request["tools"][0]["function"]["name"] == short
    assert found.request["tool_choice"]["function"]["name"] == short
    assert found.request["messages"][1]["tool_calls"][0]["function"]["name"] == short


# --- what only its own protocol can do -------------------------------------------------------


@pytest.mark.parametrize(
    "members",
    [
        {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
        {"container": "c"},
        {"inference_geo": "eu"},
        {"speed": "fast"},
        {"diagnostics": {"previous_message_id": "m"}},
        {"something_new": 1},
    ],
)
def test_hints(members: Any) -> None:
    """They stay in the request as it came, and are noted for others; the hub's request has none of them."""
    found = parsed(**members)
    (name,) = members
    assert found.native is not None
    assert name in found.native.body
    assert name not in found.request
    assert dropped(found) == [name]


@pytest.mark.parametrize("members", [{"speed": "standard"}, {"fallbacks": []}, {"context_management": {}}])
def test_neutral_hints(members: Any) -> None:
    """Nobody needs to hear of what asks for nothing."""
    assert dropped(parsed(**members)) == []


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"mcp_servers": [{"type": "url", "name": "s", "url": "https://s"}]}, "mcp_servers"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [TOOL, {"type": "bash_20250124", "name": "bash"}]}, "tools[1].type"),
        ({"max_tokens": 0}, "max_tokens"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [text("a"), {"type": "image", "source": {"type": "file", "file_id": "f"}}],
                    }
                ]
            },
            "messages[0].content[1].source.file_id",
        ),
        (
            {"messages": [{"role": "user", "content": [text("a"), {"type": "hologram"}]}]},
            "messages[0].content[1].type",
        ),
    ],
)
def test_what_others_refuse(members: Any, param: str) -> None:
    """It changes what the caller gets: 400 elsewhere, by its path; with `drop` it is left out and named."""
    found = parsed(**members)
    with pytest.raises(UnsupportedParameter) as caught:
        left_out(found, Leftovers(Target("Other", "m")))
    assert caught.value.param == param
    assert len(dropped(found)) == 1


def test_a_thread_is_refused_as_the_sdks_understand() -> None:
    """Half a conversation is none; they send all of it when they read this."""
    with pytest.raises(UnsupportedParameter) as caught:
        parsed(thread={"type": "continue", "previous_message_id": "msg_1"})
    assert MESSAGES.envelope(caught.value)["error"]["details"] == {
        "error_code": "thread_unsupported_request",
        "unsupported": ["thread"],
    }


def test_gateway_members() -> None:
    """They are taken out of both requests, and without reasoning there is no request as it came."""
    found = MESSAGES.parse(
        orjson.dumps({"model": "m", "max_tokens": 9, "messages": HI, "fallback": ["n"], "gateway": {"retries": 1}})
    )
    assert found.options.fallback == ("n",)
    assert found.native is not None
    assert set(found.native.body) == {"model", "max_tokens", "messages"}


# --- the conversation ------------------------------------------------------------------------


def test_system_text() -> None:
    """Blocks are joined; with marks they stay apart; the line that names a single request is left out."""
    billing = text("x-anthropic-billing-header: cc_version=2; cch=abc")
    assert hub(system="S")["messages"] == [{"role": "system", "content": "S"}, *HI]
    assert hub(system=[billing, text("A"), text("B")])["messages"][0] == {"role": "system", "content": "A\n\nB"}
    assert hub(system=[text("A"), text("B", cache_control=MARK)])["messages"][0]["content"] == [
        text("A"),
        text("B", cache_control=MARK),
    ]
    assert hub(system=[billing])["messages"] == HI


def test_system_text_in_the_midst() -> None:
    """It stays where it is."""
    talk = [*HI, {"role": "system", "content": "Now in French."}, {"role": "assistant", "content": "Oui"}, *HI]
    assert [(m["role"], m["content"]) for m in hub(talk)["messages"]] == [
        ("user", "Hi"),
        ("system", "Now in French."),
        ("assistant", "Oui"),
        ("user", "Hi"),
    ]


def test_text() -> None:
    """Blocks of nothing but text are text; marks are kept."""
    assert told(text("a"), text("b")) == [{"role": "user", "content": "a\n\nb"}]
    assert told(text("a", cache_control=MARK)) == [{"role": "user", "content": [text("a", cache_control=MARK)]}]
    assert told(text("a"), text("b"), role="assistant") == [{"role": "assistant", "content": "ab"}]


def test_images_and_documents() -> None:
    """Base64 becomes data URLs, links stay links, text is text under its title."""
    png = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    (message,) = told(
        {"type": "image", "source": png},
        {"type": "image", "source": {"type": "url", "url": "https://x/i.png"}},
        {"type": "document", "source": pdf, "title": "Report.pdf", "context": "Of May."},
        {"type": "document", "source": {"type": "url", "url": "https://x/d.pdf"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "T"}, "title": "N"},
        {"type": "document", "source": {"type": "content", "content": [text("C")]}},
        {"type": "search_result", "source": "https://s", "title": "R", "content": [text("found")]},
    )
    assert message["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "https://x/i.png"}},
        text("Of May."),
        {"type": "file", "file": {"filename": "Report.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
        {"type": "file", "file": {"file_url": "https://x/d.pdf"}},
        text('<document title="N">\nT\n</document>'),
        text("C"),
        text('<search_result title="R" source="https://s">\nfound\n</search_result>'),
    ]


def test_documents_in_other_forms() -> None:
    """Text as a document's whole content stays text under its title; found tools are named."""
    content = [{"type": "text", "text": "C"}, {"type": "image", "source": {"type": "url", "url": "https://x/i.png"}}]
    (message,) = told(
        {"type": "document", "source": {"type": "content", "content": "plain"}},
        {"type": "document", "source": {"type": "content", "content": content}, "title": "T"},
    )
    assert message["content"] == [
        text("plain"),
        text("T"),
        text("C"),
        {"type": "image_url", "image_url": {"url": "https://x/i.png"}},
    ]
    (tool,) = told(result(content=[{"type": "tool_reference", "tool_name": "g"}]))
    assert tool["content"] == "Tool that can be called: g"


def test_documents_that_cannot_be_sent() -> None:
    """A file of the vendor's is refused elsewhere by its path, what stands beside it stays; an empty one is an error."""
    kept = {
        "type": "document",
        "source": {"type": "file", "file_id": "f"},
        "context": "About it.",
        "citations": {"enabled": True},
    }
    found = parsed([{"role": "user", "content": [kept]}])
    assert found.request["messages"] == [{"role": "user", "content": "About it."}]
    assert dropped(found) == ["messages.citations", "messages.file"]
    empty = {"type": "base64", "media_type": "application/pdf", "data": " "}
    with pytest.raises(InvalidRequest) as caught:
        told({"type": "document", "source": empty})
    assert caught.value.param == "messages[0].content[0].source.data"


def test_results_come_first() -> None:
    """Each is a message of its own; what the user says follows."""
    talk = [
        *HI,
        {"role": "assistant", "content": [text("Looking."), use("toolu_a", a=1), use("toolu_b")]},
        {
            "role": "user",
            "content": [
                result("toolu_a", content="18 C"),
                result("toolu_b", content=[text("timeout")], is_error=True),
                text("Go on."),
            ],
        },
    ]
    assert hub(talk)["messages"][1:] == [
        {
            "role": "assistant",
            "content": "Looking.",
            "tool_calls": [
                {"id": "toolu_a", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                {"id": "toolu_b", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "toolu_a", "content": "18 C"},
        {"role": "tool", "tool_call_id": "toolu_b", "content": "Error: timeout"},
        {"role": "user", "content": "Go on."},
    ]


def test_an_image_in_a_result() -> None:
    """Most vendors take text alone as a result, so the image follows as the user's."""
    image = {"type": "image", "source": {"type": "url", "url": "https://x/i.png"}}
    tool, user = told(result(content=[text("seen"), image]))
    assert tool["content"].startswith("seen\n")
    assert user["content"][1] == {"type": "image_url", "image_url": {"url": "https://x/i.png"}}


@pytest.mark.parametrize(
    ("members", "wanted"),
    [({}, ""), ({"content": None}, ""), ({"content": []}, ""), ({"is_error": True}, "Error")],
)
def test_an_empty_result(members: Any, wanted: str) -> None:
    """It is an empty text, and an error without words is an error."""
    assert told(result(**members)) == [{"role": "tool", "tool_call_id": "toolu_a", "content": wanted}]


def test_traces_of_the_vendors_own_tools() -> None:
    """They are left out and named; a turn of nothing else is none."""
    server = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    one = parsed([*HI, {"role": "assistant", "content": [server, found, text("42")]}, *HI])
    assert one.request["messages"][1] == {"role": "assistant", "content": "42"}
    assert dropped(one) == ["messages.server_tool_use", "messages.web_search_tool_result"]
    assert len(hub([*HI, {"role": "assistant", "content": [server, found]}, *HI])["messages"]) == 2


def test_thinking_comes_back() -> None:
    """Signed blocks as entries of their own vendor, all of them and in order; text alone as text."""
    blocks = [
        {"type": "thinking", "thinking": "One. ", "signature": "S1"},
        {"type": "thinking", "thinking": "", "signature": "S2"},
        {"type": "redacted_thinking", "data": "D"},
        {"type": "thinking", "thinking": "Two.", "signature": ""},
        text("Yes."),
    ]
    (message,) = told(*blocks, role="assistant")
    mine = {"format": "anthropic-claude-v1"}
    assert message == {
        "role": "assistant",
        "content": "Yes.",
        "reasoning_content": "One. Two.",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "One. ", "signature": "S1", **mine, "index": 0},
            {"type": "reasoning.text", "text": "", "signature": "S2", **mine, "index": 1},
            {"type": "reasoning.encrypted", "data": "D", **mine, "index": 2},
        ],
    }


def test_sealed_thinking_comes_back() -> None:
    """What was sealed is what its vendor gets; a seal that was tampered with is nothing."""
    entry = {"type": "reasoning.encrypted", "data": "G", "format": "google-gemini-v1", "id": "call_1"}
    plain = [{"type": "reasoning.text", "text": "Hm"}]
    good, hidden = sealed([entry]), sealed(plain)
    (message,) = told(
        {"type": "thinking", "thinking": "", "signature": hidden},
        text("a"),
        {"type": "redacted_thinking", "data": good},
        role="assistant",
    )
    assert message["reasoning_content"] == "Hm"
    assert message["reasoning_details"] == [{**entry, "index": 0}]
    for wrong in (good[:-8], good[:20] + "!!" + good[22:], "cgw1.", "cgw1." + base64.b64encode(b"x").decode()):
        (message,) = told(text("a"), {"type": "redacted_thinking", "data": wrong}, role="assistant")
        assert "reasoning_details" not in message


@pytest.mark.parametrize("given", ["toolu_cgw_!", "toolu_cgw_a", "toolu_cgw__w"])
def test_ids_that_were_changed(given: str) -> None:
    """What is no id of ours is the client's own."""
    assert own_id(given) == given


@pytest.mark.parametrize("given", ["toolu_1", "functions.Bash:0", "", "call_é", "toolu_cgw_x", "a" * 300])
def test_ids_of_other_vendors(given: str) -> None:
    """A client sees letters, digits, `_` and `-`; the vendor sees its own id again."""
    sent = portable_id(given)
    assert sent
    assert all(c.isascii() and (c.isalnum() or c in "_-") for c in sent)
    assert own_id(sent) == given


# --- what is wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "param", "message"),
    [
        ({"model": None}, "model", "model: Field required"),
        ({"max_tokens": None}, "max_tokens", "max_tokens: Field required"),
        ({"messages": None}, "messages", "messages: Field required"),
        ({"messages": []}, "messages", "messages: List should have at least 1 item after validation, not 0"),
        ({"max_tokens": "9"}, "max_tokens", "max_tokens: Input should be a valid integer"),
        ({"max_tokens": -1}, "max_tokens", "max_tokens: Input should be greater than or equal to 0"),
        ({"temperature": 1.5}, "temperature", "temperature: Input should be less than or equal to 1"),
        ({"stream": "yes"}, "stream", "stream: Input should be a valid boolean"),
        ({"system": 3}, "system", "system: Input should be a valid string or a valid list"),
        (
            {"messages": [{"role": "user", "content": [text("a"), {"type": "text"}]}]},
            "messages[0].content[1].text",
            "messages.0.content.1.text: Field required",
        ),
        (
            {"messages": [{"role": "tool", "content": "a"}]},
            "messages[0].role",
            "messages.0.role: Input tag 'tool' does not match any of the expected tags: 'user', 'assistant', 'system'",
        ),
        ({"messages": [{"content": "a"}]}, "messages[0].role", "messages.0.role: Field required"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "messages.0.content: Field required"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64"}}]}]},
            "messages[0].content[0].source.media_type",
            "messages.0.content.0.source.media_type: Field required",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{**use(), "input": "{}"}]}]},
            "messages[0].content[0].input",
            "messages.0.content.0.input: Input should be a valid dictionary",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
            "messages[0].content[0].tool_use_id",
            "messages.0.content.0.tool_use_id: Field required",
        ),
        ({"messages": ["Hi"]}, "messages[0]", "messages.0: Input should be a valid dictionary"),
        (
            {"messages": [{"role": "user", "content": 1}]},
            "messages[0].content",
            "messages.0.content: Input should be a valid string or a valid list",
        ),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema", "tools.0.input_schema: Field required"),
        ({"tool_choice": "auto"}, "tool_choice", "tool_choice: Input should be a valid dictionary"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 5}},
            "thinking.budget_tokens",
            "thinking.budget_tokens: Input should be greater than or equal to 1024",
        ),
        (
            {"output_config": {"effort": "huge"}},
            "output_config.effort",
            "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
        ),
    ],
)
def test_what_is_wrong(change: Any, param: str, message: str) -> None:
    """The first fault, in the vendor's words and by its path."""
    body = {"model": "m", "max_tokens": 9, "messages": HI, **change}
    with pytest.raises(InvalidRequest) as caught:
        MESSAGES.parse(orjson.dumps({name: value for name, value in body.items() if value is not None}))
    assert (caught.value.param, caught.value.message) == (param, message)
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'{"a":' + b"[" * 300 + b"]" * 300 + b"}"])
def test_no_request_at_all(body: bytes) -> None:
    """It is a 400, whatever it is."""
    with pytest.raises(InvalidRequest):
        MESSAGES.parse(body)


def test_a_conversation_of_nothing() -> None:
    """A request that leaves no message for anybody says so."""
    with pytest.raises(InvalidRequest, match="at least one message"):
        MESSAGES.parse(
            orjson.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "assistant", "content": []}]})
        )


def test_counting() -> None:
    """It needs no length, and members that do not count are taken and left aside."""
    body = {"model": "m", "messages": HI, "system": "S", "tools": [TOOL]}
    found = COUNT_TOKENS.parse(orjson.dumps({**body, "stream": True, "max_tokens": 5, "metadata": {}}))
    assert found.native is not None
    assert dict(found.native.body) == body
    assert [message["role"] for message in found.request["messages"]] == ["system", "user"]
    with pytest.raises(InvalidRequest) as caught:
        COUNT_TOKENS.parse(orjson.dumps({"model": "m"}))
    assert caught.value.param == "messages"
