"""A hub request becomes the body of `POST /chat/completions` at an OpenAI-like upstream.

The hub is this very shape, so an upstream without quirks gets a copy with its own model id.
What differs is data (`Quirks` of the provider, `Traits` of the model); every rule here asks
first whether the request holds the member at all. Names in quirks are top-level members,
and four more: `messages[].name`, `messages[].refusal`, `messages[].<member>` (kept although
`known_only`), and `cache_control` wherever it stands. `rename` also maps a `tool_choice`
word under `tool_choice.<word>`, and a member renamed to itself is one that the upstream has
beside OpenAI's. A value in `efforts` may set another member: `thinking.type=disabled`.

What does not live here: messages (`messages.py`), which models refuse what (`models.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects.base import Leftovers, Outgoing
from compatgw.dialects.openai.messages import CACHE, instructed, translate
from compatgw.dialects.openai.models import LOGPROBS, PLAIN, SAMPLING, Traits, known, traits_of
from compatgw.wire.chat import ChatRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Quirks, Target

PATH = "/chat/completions"
MEMBERS = frozenset(ChatRequest.__annotations__) | {"moderation", "prompt_cache_options", "prompt_cache_retention"}
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

_WITH_USAGE = {"include_usage": True}
_TOOL_MEMBERS = ("tools", "tool_choice", "parallel_tool_calls")
_INTENTS = ("reasoning", "thinking", "enable_thinking")
# Thinking budgets as words; what is above the last one is `high`.
_BUDGETS = ((1024, "minimal"), (4096, "low"), (16384, "medium"))
_ANY_OBJECT = {"type": "json_schema", "json_schema": {"name": "object", "schema": {"type": "object"}}}
_AS_OBJECT = "Answer with one JSON object and nothing else: no prose around it, no code fence."
_AS_SCHEMA = f"{_AS_OBJECT} The object must be valid against this JSON Schema:\n"


def encode(request: ChatRequest, target: Target) -> Outgoing:
    """The request as the target takes it.

    Raises:
        UnsupportedParameter: A member that changes the answer and cannot be carried.
        InvalidRequest: A file part without its bytes.
    """
    quirks = target.quirks
    left = Leftovers(target)
    traits = traits_of(target.model, target.traits) if target.traits else known(target.model)
    body: dict[str, Any] = {**request}
    body["model"] = target.model

    if "max_tokens" in body or "max_completion_tokens" in body:
        _limit(body, target, traits, left)
    if not quirks.drop.isdisjoint(body) or quirks.known_only:
        _intent(body, quirks)
        _drop(body, quirks, left)
    if quirks.reject and not quirks.reject.isdisjoint(body):
        for name in [name for name in body if name in quirks.reject]:
            left.semantic(name, body.pop(name))
    if traits is not PLAIN:
        _refused_by_model(body, traits, left)
    if "n" in body and not quirks.n:
        left.semantic("n", body.pop("n"), why="Send the request once for each choice.")
    if "reasoning_effort" in body and (efforts := quirks.efforts or traits.efforts):
        _effort(body, efforts, left)
    if "tools" in body or "tool_choice" in body or "parallel_tool_calls" in body:
        _tools(body, quirks, left)
    instruction = ""
    if "response_format" in body and not (quirks.json_schema and quirks.json_object):
        instruction = _format(body, target, left)
    if body.get("stream") and quirks.stream_options:
        body["stream_options"] = {**body.get("stream_options", _WITH_USAGE), "include_usage": True}
    elif "stream_options" in body:
        del body["stream_options"]
    for ours, theirs in quirks.rename.items():
        if ours in body and ours != theirs:
            body[theirs] = body.pop(ours)

    messages: Sequence[Mapping[str, Any]] = request["messages"]
    if instruction:
        messages = instructed(messages, instruction)
    body["messages"] = translate(messages, quirks, left)
    return Outgoing(PATH, orjson.dumps(body), (), tuple(left.dropped), tuple(left.clamped))


def _limit(body: dict[str, Any], target: Target, traits: Traits, left: Leftovers) -> None:
    old, new = body.pop("max_tokens", None), body.pop("max_completion_tokens", None)
    asked = "max_tokens" if new is None else "max_completion_tokens"
    value = old if new is None else new
    if value is None:
        return
    if target.max_output is not None and value > target.max_output:
        value = target.max_output
        left.clamp(asked, value)
    name: str = target.quirks.max_tokens
    if name == "both":
        name = traits.max_tokens or asked
    body[name] = value


def _refused_by_model(body: dict[str, Any], traits: Traits, left: Leftovers) -> None:
    if traits.sampling != "always" and not traits.samples(body.get("reasoning_effort")):
        for name in SAMPLING:
            # 1 is what these models use anyway; they take it in words.
            if name in body and not (name in ("temperature", "top_p") and body[name] == 1):
                left.hint(name, body.pop(name))
        for name in LOGPROBS:
            if name in body:
                left.semantic(name, body.pop(name))
    if not traits.drop.isdisjoint(body):
        for name in [name for name in body if name in traits.drop]:
            left.hint(name, body.pop(name))
    if not traits.reject.isdisjoint(body):
        for name in [name for name in body if name in traits.reject]:
            left.semantic(name, body.pop(name))


def _unserved(name: str, quirks: Quirks) -> bool:
    return name in quirks.drop or (quirks.known_only and name not in MEMBERS and name not in quirks.rename)


def _drop(body: dict[str, Any], quirks: Quirks, left: Leftovers) -> None:
    for name in [name for name in body if _unserved(name, quirks)]:
        left.hint(name, body.pop(name))


# --- reasoning -----------------------------------------------------------------------------------


def _intent(body: dict[str, Any], quirks: Quirks) -> None:
    """Other vendors' ways to ask for reasoning become `reasoning_effort`, where they are not understood."""
    for name in _INTENTS:
        if name in body and _unserved(name, quirks) and (effort := _effort_of(body[name])) is not None:
            del body[name]
            body.setdefault("reasoning_effort", effort)


def _effort_of(value: Any) -> str | None:
    """The effort that `reasoning`, `thinking` or `enable_thinking` asks for, None when it says none."""
    if isinstance(value, bool):
        return "medium" if value else "none"
    if not isinstance(value, dict):
        return None
    if value.get("effort") in EFFORTS:
        return cast("str", value["effort"])
    if value.get("enabled") is False or value.get("type") == "disabled":
        return "none"
    budget = value.get("max_tokens") or value.get("budget_tokens")
    if isinstance(budget, int) and budget > 0:
        return next((word for limit, word in _BUDGETS if budget < limit), "high")
    return "medium" if value.get("enabled") is True or value.get("type") in ("enabled", "adaptive") else None


def _effort(body: dict[str, Any], efforts: Mapping[str, str], left: Leftovers) -> None:
    asked = body.pop("reasoning_effort")
    served = asked if asked in efforts else _nearest(asked, efforts)
    sent = efforts[served]
    member, assigns, value = sent.partition("=")
    if sent != asked and (served != asked or not assigns):
        left.clamp("reasoning_effort", served if assigns else sent)
    if not assigns:
        body["reasoning_effort"] = sent
        return
    name, nested, inner = member.partition(".")
    word = {"true": True, "false": False}.get(value, value)
    if not nested:
        body.setdefault(name, word)
    else:
        own = body.get(name)
        body[name] = {inner: word, **(own if isinstance(own, dict) else {})}


def _nearest(asked: str, efforts: Mapping[str, str]) -> str:
    # No reasoning at all is not a little of it, unless there is nothing else.
    rank = {word: place for place, word in enumerate(EFFORTS)}
    wanted = rank.get(asked, rank["medium"])
    candidates = [word for word in efforts if word != "none"] or list(efforts)
    return min(candidates, key=lambda word: (abs(rank[word] - wanted), rank[word]))


# --- tools ---------------------------------------------------------------------------------------


def _tools(body: dict[str, Any], quirks: Quirks, left: Leftovers) -> None:
    if body.get("tools") and not quirks.tools:
        left.semantic("tools", body.pop("tools"))
    if not body.get("tools"):
        body.pop("tools", None)
        # Without tools these say nothing, and several upstreams refuse them.
        body.pop("parallel_tool_calls", None)
        if body.get("tool_choice") in ("none", "auto") or not quirks.tools:
            body.pop("tool_choice", None)
        return
    if CACHE in quirks.drop and any(CACHE in tool for tool in body["tools"]):
        left.hint(CACHE, True)
        body["tools"] = [{name: value for name, value in tool.items() if name != CACHE} for tool in body["tools"]]
    if quirks.tool_choice and "tool_choice" in body:
        _choice(body, quirks, left)
    choice = body.get("tool_choice")
    if isinstance(choice, str) and (word := quirks.rename.get(f"tool_choice.{choice}")) is not None:
        body["tool_choice"] = word


def _choice(body: dict[str, Any], quirks: Quirks, left: Leftovers) -> None:
    """A `tool_choice` that is not served, by other means: fewer tools, or none."""
    choice, served = body["tool_choice"], quirks.tool_choice
    kind = choice if isinstance(choice, str) else choice["type"]
    if kind in served:
        return
    if kind == "auto":
        del body["tool_choice"]
    elif kind == "none":
        for name in _TOOL_MEMBERS:
            body.pop(name, None)
    elif kind == "allowed_tools":
        allowed = choice["allowed_tools"]
        names = {_name(tool) for tool in allowed["tools"]}
        body["tools"] = [tool for tool in body["tools"] if _name(tool) in names]
        body["tool_choice"] = allowed["mode"]
        if not body["tools"]:
            left.semantic("tool_choice", choice, why="None of its tools is among 'tools'.")
            for name in _TOOL_MEMBERS:
                body.pop(name, None)
        else:
            _choice(body, quirks, left)
    elif kind in ("function", "custom") and "required" in served and _named(body, _name(choice)):
        body["tools"] = _named(body, _name(choice))
        body["tool_choice"] = "required"
    else:
        left.semantic("tool_choice", body.pop("tool_choice"), why="A call cannot be forced there: send 'auto'.")


def _name(tool: Mapping[str, Any]) -> str | None:
    inner = tool.get(tool.get("type", "function"))
    return inner.get("name") if isinstance(inner, dict) else tool.get("name")


def _named(body: Mapping[str, Any], name: str | None) -> list[Any]:
    return [tool for tool in body["tools"] if _name(tool) == name]


# --- structured answers --------------------------------------------------------------------------


def _format(body: dict[str, Any], target: Target, left: Leftovers) -> str:
    """The nearest format that is served; returns the instruction that has to stand in for the rest."""
    quirks, asked = target.quirks, body["response_format"]
    kind = asked["type"]
    if (
        kind not in ("json_schema", "json_object")
        or (kind == "json_schema" and quirks.json_schema)
        or (kind == "json_object" and quirks.json_object)
    ):
        return ""
    if target.unsupported == "reject":
        raise left.refusal("response_format")
    if kind == "json_object":
        if quirks.json_schema:
            body["response_format"] = _ANY_OBJECT
            left.clamp("response_format", "json_schema")
            return ""
        del body["response_format"]
        left.clamp("response_format", "instruction")
        return _AS_OBJECT
    if quirks.json_object:
        body["response_format"] = {"type": "json_object"}
        left.clamp("response_format", "json_object")
    else:
        left.semantic("response_format", body.pop("response_format"))
    schema = asked["json_schema"].get("schema", {"type": "object"})
    return _AS_SCHEMA + orjson.dumps(schema).decode()
