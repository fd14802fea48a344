"""A hub request becomes the body of `POST /v2/chat`.

Cohere answers 422 to members that it does not know, also inside tools and parts, so every
object is built anew from the members that it has. What is emulated: a named `tool_choice`
(only that tool is sent), `parallel_tool_calls: false` (the first call is kept), `functions`
(sent as tools) and a JSON schema beside tools (a tool of ours whose arguments are the
answer); the last three leave a note in `Outgoing.memo` for the decoder.

What does not live here: messages (`messages.py`), answers (`response.py`, `stream.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, cast

import orjson

from compatgw.dialects.base import Leftovers, Outgoing
from compatgw.dialects.cohere import models
from compatgw.dialects.cohere.messages import translate
from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Target
    from compatgw.dialects.cohere.models import Traits
    from compatgw.wire.chat import ChatRequest

Choice: TypeAlias = Literal["REQUIRED", "NONE"] | None

PATH = "/v2/chat"
BUDGETS = {"minimal": 512, "low": 1024, "medium": 4096, "high": 16384, "xhigh": 31000, "max": 31000}
MAX_STOPS = 5

# Cohere's own members, as they are.
NATIVE = ("documents", "citation_options", "priority")
SEMANTIC = ("audio", "modalities", "n", "web_search_options")
# Members that some function below reads; whatever else a request holds is a hint that is left out.
READ = frozenset(
    {
        *NATIVE, *SEMANTIC,
        "frequency_penalty", "function_call", "functions", "k", "logprobs", "max_completion_tokens", "max_tokens",
        "messages", "model", "parallel_tool_calls", "presence_penalty", "reasoning", "reasoning_effort",
        "response_format", "safety_mode", "seed", "stop", "stream", "stream_options", "strict_tools", "temperature",
        "thinking", "tool_choice", "tools", "top_k", "top_logprobs", "top_p",
    }
)  # fmt: skip


class Tools(NamedTuple):
    """The functions to send, and whether one must or must not be called."""

    functions: list[dict[str, Any]]
    choice: Choice


def encode(request: ChatRequest, target: Target) -> Outgoing:
    """The request as Cohere takes it.

    Raises:
        InvalidRequest: Tool messages that do not pair with calls, media that is not what it says.
        UnsupportedParameter: Something that would change what the caller gets cannot be carried.
    """
    members = cast("dict[str, Any]", request)
    traits = models.traits(target)
    left = Leftovers(target)
    body: dict[str, Any] = {
        "model": target.model,
        "messages": translate(members["messages"], left, traits),
        "stream": bool(members.get("stream", False)),
    }
    memo: dict[str, Any] = {}
    tools = _tools(members, left, traits)
    legacy = bool(members.get("functions")) and not members.get("tools")
    if legacy:
        memo["legacy"] = True
    if tools.functions and (legacy or members.get("parallel_tool_calls") is False):
        memo["single_call"] = True
    tools, json_tool = _format(members, body, tools, left, traits)
    if json_tool:
        memo["json_tool"] = json_tool
    _write_tools(members, body, tools, left, traits)
    _limits(members, body, left, target)
    _sampling(members, body, left)
    _thinking(members, body, left, traits)
    _rest(members, body, left)
    return Outgoing(
        path=PATH,
        body=orjson.dumps(body),
        dropped=tuple(left.dropped),
        clamped=tuple(left.clamped),
        memo=memo,
    )


# --- tools and formats -----------------------------------------------------------------------


def _tools(members: Mapping[str, Any], left: Leftovers, traits: Traits) -> Tools:
    functions: list[dict[str, Any]] = []
    for index, tool in enumerate(members.get("tools") or ()):
        if tool["type"] != "function":
            raise left.refusal(f"tools[{index}]", "Only tools of type 'function' can be sent; define it as one.")
        functions.append(tool["function"])
    choice = members.get("tool_choice")
    if not functions and members.get("functions"):  # the oldest form of the same wish
        functions, choice = list(members["functions"]), members.get("function_call")
        if isinstance(choice, dict):
            choice = {"type": "function", "function": choice}
    if choice is None or choice == "auto":
        return Tools(functions, None)
    if choice == "none":
        return Tools(functions, "NONE") if traits.tool_choice else Tools([], None)
    if not functions:
        raise InvalidRequest("'tool_choice' asks for a call, but there are no 'tools'.", param="tool_choice")
    functions, forced = _narrowed(functions, choice, left)
    if forced and not traits.tool_choice:
        left.semantic("tool_choice", choice, why="This model cannot be forced to call a tool; use 'auto'.")
        forced = False
    return Tools(functions, "REQUIRED" if forced else None)


def _narrowed(
    functions: list[dict[str, Any]], choice: str | dict[str, Any], left: Leftovers
) -> tuple[list[dict[str, Any]], bool]:
    """The functions that `choice` leaves, and whether one of them must be called."""
    if isinstance(choice, str):
        return functions, choice == "required"
    if choice["type"] == "function":
        where, names, forced = "tool_choice.function.name", [choice["function"]["name"]], True
    elif choice["type"] == "allowed_tools":
        allowed = choice["allowed_tools"]
        where, forced = "tool_choice.allowed_tools.tools", allowed["mode"] == "required"
        names = [tool["function"]["name"] for tool in allowed["tools"] if isinstance(tool.get("function"), dict)]
    else:
        raise left.refusal("tool_choice", "Only tools of type 'function' can be chosen.")
    kept = [function for function in functions if function["name"] in names]
    if not kept:
        raise InvalidRequest(f"'{where}' names no function that is in 'tools'.", param=where)
    return kept, forced


def _format(
    members: Mapping[str, Any], body: dict[str, Any], tools: Tools, left: Leftovers, traits: Traits
) -> tuple[Tools, str | None]:
    """Writes `response_format`, or gives the tools with one more whose arguments are the answer."""
    wanted = members.get("response_format")
    if wanted is None or wanted["type"] == "text":
        return tools, None
    # Cohere nests the schema differently, and some callers already write it Cohere's way.
    inner = wanted.get("json_schema")
    inner = inner if isinstance(inner, dict) else {}
    schema = inner.get("schema") if wanted["type"] == "json_schema" else inner or wanted.get("schema")
    if tools.choice == "NONE" and not traits.json_beside_tools:
        tools = Tools([], None)  # tools that must not be called would only forbid the format
    if traits.json_beside_tools or not (tools.functions or members.get("documents")):
        body["response_format"] = {"type": "json_object", **({"json_schema": schema} if schema else {})}
        return tools, None
    if tools.choice == "REQUIRED":
        return tools, None  # the answer will be a call, which no format governs
    if not schema or not traits.tool_choice:
        left.semantic(
            "response_format", wanted, why="Together with tools or documents it needs a JSON schema and a newer model."
        )
        return tools, None
    name = "json_response"
    while any(function["name"] == name for function in tools.functions):
        name += "_"
    answer = {
        "name": name,
        "description": inner.get("description")
        or "Gives the final answer. Call it once, when no other tool is needed any more.",
        "parameters": schema,
        "strict": bool(inner.get("strict")),
    }
    return Tools([*tools.functions, answer], "REQUIRED"), name


def _write_tools(
    members: Mapping[str, Any], body: dict[str, Any], tools: Tools, left: Leftovers, traits: Traits
) -> None:
    if not tools.functions:
        return
    body["tools"] = [{"type": "function", "function": _function(function)} for function in tools.functions]
    if tools.choice is not None:
        body["tool_choice"] = tools.choice
    if "strict_tools" in members:
        body["strict_tools"] = members["strict_tools"]
        return
    strict = [function for function in tools.functions if function.get("strict")]
    # It is one switch for all, and refused for a function without a required parameter.
    able = traits.strict_tools and all((function.get("parameters") or {}).get("required") for function in strict)
    if strict and able and len(strict) == len(tools.functions):
        body["strict_tools"] = True
    elif strict:
        left.hint("tools.strict", True)


def _function(function: Mapping[str, Any]) -> dict[str, Any]:
    out = {"name": function["name"]}
    if function.get("description"):
        out["description"] = function["description"]
    out["parameters"] = function.get("parameters") or {"type": "object", "properties": {}}
    return out


# --- limits, sampling, reasoning -------------------------------------------------------------


def _limits(members: Mapping[str, Any], body: dict[str, Any], left: Leftovers, target: Target) -> None:
    limit = members.get("max_completion_tokens", members.get("max_tokens"))
    if limit is not None:
        if target.max_output is not None and limit > target.max_output:
            limit = target.max_output
            left.clamp("max_tokens", limit)
        body["max_tokens"] = limit
    stops = members.get("stop")
    stops = [stops] if isinstance(stops, str) else stops
    stops = [stop for stop in stops or () if stop]
    if len(stops) > MAX_STOPS:
        left.semantic("stop", stops, why=f"At most {MAX_STOPS} stop sequences can be sent.")
    if stops:
        body["stop_sequences"] = stops[:MAX_STOPS]


def _sampling(members: Mapping[str, Any], body: dict[str, Any], left: Leftovers) -> None:
    _within(members, "temperature", body, "temperature", left, 0.0, 1.0)
    if members.get("top_p", 1) < 1:  # 1 means the whole distribution, which Cohere has no number for
        _within(members, "top_p", body, "p", left, 0.01, 0.99)
    _within(members, "frequency_penalty", body, "frequency_penalty", left, 0.0, 1.0)
    _within(members, "presence_penalty", body, "presence_penalty", left, 0.0, 1.0)
    if "k" in members:
        body["k"] = members["k"]
    else:
        _within(members, "top_k", body, "k", left, 0, 500)
    seed = members.get("seed")
    if seed is not None:
        if seed >= 0:
            body["seed"] = seed
        else:
            left.hint("seed", seed)
    if members.get("logprobs"):
        body["logprobs"] = True
    left.semantic("top_logprobs", members.get("top_logprobs"), why="Only the chosen tokens' logprobs are available.")


def _within(
    members: Mapping[str, Any],
    name: str,
    body: dict[str, Any],
    sent_as: str,
    left: Leftovers,
    low: float,
    high: float,
) -> None:
    value = members.get(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f"'{name}' must be a number.", param=name, code="invalid_type")
    sent = min(max(value, low), high)
    if sent != value:
        left.clamp(name, sent)
    body[sent_as] = sent


def _thinking(members: Mapping[str, Any], body: dict[str, Any], left: Leftovers, traits: Traits) -> None:
    native = members.get("thinking")
    if isinstance(native, dict):
        # Anthropic's name for the budget is in the wild as well.
        off = native.get("type") == "disabled"
        budget = native.get("token_budget", native.get("budget_tokens"))
        body["thinking"] = _thought(off=off, budget=budget)
        return
    left.hint("thinking", native)
    asked = members.get("reasoning")
    if not isinstance(asked, dict):
        left.hint("reasoning", asked)
        asked = {}
    effort = members.get("reasoning_effort", asked.get("effort"))
    budget = asked.get("max_tokens") or BUDGETS.get(str(effort))
    off = effort == "none" or asked.get("enabled") is False
    if effort is None and budget is None and not off and not asked.get("enabled"):
        return
    if traits.reasoning:
        body["thinking"] = _thought(off=off, budget=budget)
    elif not off:  # a model that never thinks already does what `none` asks for
        name = "reasoning_effort" if "reasoning_effort" in members else "reasoning"
        left.hint(name, members[name])


def _thought(*, off: bool, budget: Any) -> dict[str, Any]:
    if off:
        return {"type": "disabled"}
    return {"type": "enabled", **({"token_budget": budget} if budget else {})}


# --- everything else -------------------------------------------------------------------------


def _rest(members: Mapping[str, Any], body: dict[str, Any], left: Leftovers) -> None:
    for name in NATIVE:
        if members.get(name) is not None:
            body[name] = members[name]
    safety = members.get("safety_mode")
    if safety is not None:
        if "tools" in body or "documents" in body:  # the pair is a 400 there
            left.hint("safety_mode", safety)
        else:
            body["safety_mode"] = safety
    for name in SEMANTIC:
        left.semantic(name, members.get(name), why=_WHY.get(name, ""))
    for name, value in members.items():
        if name not in READ:
            left.hint(name, value)


_WHY = {
    "n": "Send the request once for each answer.",
}
