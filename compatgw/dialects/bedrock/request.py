"""A hub request becomes the path and body of `converse` or `converse-stream`.

What one kind of model alone has goes into `additionalModelRequestFields`; a caller's own object of that
name is merged over what is put there. The memo holds what `tools.py` and `names.py` say, and

    json_object   the answer is one JSON object; a code fence round it is taken off
    hidden        the text of the reasoning is left out of the answer

What does not live here: messages (`messages.py`), tools (`tools.py`), how much a model thinks
(`blocks/thinking.py`), answers (`response.py`, `stream.py`), signatures (`providers/sigv4.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import orjson

from compatgw.dialects.base import Leftovers, Outgoing
from compatgw.dialects.bedrock import content, messages, models, tools
from compatgw.dialects.bedrock.names import Names
from compatgw.dialects.bedrock.thinking import fields, merged, placed
from compatgw.dialects.blocks import request as blocks
from compatgw.dialects.blocks import thinking
from compatgw.dialects.blocks.content import CACHE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from compatgw.dialects.base import Target
    from compatgw.dialects.bedrock.models import Traits
    from compatgw.dialects.bedrock.tools import Tools
    from compatgw.dialects.blocks.messages import Conversation
    from compatgw.dialects.blocks.thinking import Plan
    from compatgw.wire.chat import ChatRequest

Block = dict[str, Any]

MAX_POINTS = 4
MAX_METADATA = 16
_FIELDS, _METADATA, _OUTPUT = "additionalModelRequestFields", "requestMetadata", "outputConfig"
# Bedrock's own members, as they are.
NATIVE = ("guardrailConfig", "performanceConfig", "promptVariables", "additionalModelResponseFieldPaths", "serviceTier")
SEMANTIC = ("audio", "logprobs", "modalities", "n", "top_logprobs", "web_search_options")
# Members that something here reads; whatever else a request holds is a hint that is left out.
READ = frozenset(
    {
        *NATIVE, *SEMANTIC, *thinking.READ, _FIELDS, _METADATA, _OUTPUT,
        "cache_control", "function_call", "functions", "messages", "metadata", "model", "parallel_tool_calls",
        "response_format", "service_tier", "stop", "stream", "stream_options", "temperature", "tool_choice", "tools",
        "top_k", "top_p",
    }
)  # fmt: skip
_SAMPLING = {"temperature": "temperature", "top_p": "topP"}
_TIERS = {"default": "default", "flex": "flex", "priority": "priority"}
_TAG = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")


def encode(request: ChatRequest, target: Target) -> Outgoing:
    """The request as Bedrock takes it.

    Raises:
        InvalidRequest: Something in it is not what it says, or asks for what is not there.
        UnsupportedParameter: Something that would change what the caller gets cannot be carried.
    """
    members = cast("dict[str, Any]", request)
    traits = models.traits(target)
    left = Leftovers(target)
    names = Names()
    for name in SEMANTIC:
        left.semantic(name, members.get(name), why=blocks.WHY.get(name, ""))
    talk = messages.translate(members["messages"], target, traits, names, left)
    found = tools.collect(members, traits, names, left, budgeted=thinking.budgeted(members, traits))
    found = tools.remembered(found, talk.called)
    found, form, words = _formatted(members.get("response_format"), found, traits, left)
    barred = found.forced or talk.prefill or talk.unthought
    planned = thinking.plan(members, traits, left, barred=barred, display=False)
    body = _body(talk, found, (found.nudge, words), traits)
    own = merged(fields(planned, traits), _sampling(members, body, planned, traits, left))
    _configured(members, body, own, form)
    _rest(members, body, left, traits)
    _spare_points(body, left)
    memo = {**names.memo(), **found.memo}
    if words:
        memo["json_object"] = True
    if planned.hidden:
        memo["hidden"] = True
    return Outgoing(
        path=path(target, "converse-stream" if members.get("stream") else "converse"),
        body=blocks.written(body),
        dropped=tuple(left.dropped),
        clamped=tuple(left.clamped),
        memo=memo,
    )


def path(target: Target, method: str) -> str:
    """Where `method` of the target's model is: every character of its id that has a meaning in a URL is escaped."""
    return f"/model/{quote(target.model, safe='', errors='replace')}/{method}"


def _body(talk: Conversation, found: Tools, more: tuple[str, ...], traits: Traits) -> Block:
    body: Block = {"messages": talk.messages}
    words = [block for text in more for block in content.text(text)]
    if traits.system:
        if system := [*talk.system, *words]:
            body["system"] = system
    elif words:
        first = talk.messages[0]
        body["messages"] = [{**first, "content": [*words, *first["content"]]}, *talk.messages[1:]]
    if config := found.config():
        body["toolConfig"] = config
    return body


# --- formats and configuration ---------------------------------------------------------------


def _formatted(
    wanted: Mapping[str, Any] | None, found: Tools, traits: Traits, left: Leftovers
) -> tuple[Tools, Block | None, str]:
    """Tools, the native format, and a sentence for the system text: one of the last two, or a tool."""
    if wanted is None or wanted["type"] == "text":
        return found, None, ""
    inner = wanted.get("json_schema") or {}
    if not inner.get("schema"):
        left.clamp("response_format", "instruction")
        return found, None, blocks.JSON
    if traits.structured:
        described = {key: inner[key] for key in ("name", "description") if inner.get(key)}
        schema = {"schema": orjson.dumps(inner["schema"]).decode(), **described}
        return found, {"type": "json_schema", "structure": {"jsonSchema": schema}}, ""
    if traits.tools and (answered := tools.with_answer(found, inner, traits)) is not None:
        return answered, None, ""
    left.semantic("response_format", wanted, why="This model cannot be held to a JSON schema.")
    return found, None, blocks.JSON


def _configured(members: Mapping[str, Any], body: Block, own: Mapping[str, Any], form: Block | None) -> None:
    output = merged({"textFormat": form} if form is not None else {}, blocks.object_at(members, _OUTPUT))
    if output:
        body[_OUTPUT] = output
    if sent := merged(own, blocks.object_at(members, _FIELDS)):
        body[_FIELDS] = sent


def _sampling(members: Mapping[str, Any], body: Block, planned: Plan, traits: Traits, left: Leftovers) -> Block:
    """Writes `inferenceConfig`; gives what stands among the fields of the model."""
    given = blocks.sampling(members, traits, left, on=planned.on, top_k=bool(traits.top_k))
    config: Block = {} if planned.max_tokens is None else {"maxTokens": planned.max_tokens}
    config |= {theirs: given[ours] for ours, theirs in _SAMPLING.items() if ours in given}
    if kept := blocks.stops(members, left):
        config["stopSequences"] = kept
    if config:
        body["inferenceConfig"] = config
    return placed(traits.top_k, given["top_k"]) if "top_k" in given else {}


# --- everything else -------------------------------------------------------------------------


def _rest(members: Mapping[str, Any], body: Block, left: Leftovers, traits: Traits) -> None:
    tier = members.get("service_tier")
    if isinstance(tier, str) and tier in _TIERS:
        body["serviceTier"] = {"type": _TIERS[tier]}
    else:
        left.hint("service_tier", tier)
    tags = members.get(_METADATA)
    if tags is not None:
        body[_METADATA] = tags
    elif _is_tags(given := members.get("metadata")):
        body[_METADATA] = given
    else:
        left.hint("metadata", given)
    for name in NATIVE:
        if members.get(name) is not None:
            body[name] = members[name]
    if found := content.point(members, traits):
        # The request's own mark stands for one behind its last block.
        last = body["messages"][-1]
        if "cachePoint" not in last["content"][-1]:
            body["messages"] = [*body["messages"][:-1], {**last, "content": [*last["content"], *found]}]
    for name, value in members.items():
        if name not in READ:
            left.hint(name, value)


def _is_tags(value: Any) -> bool:
    """True for what Bedrock takes to mark its log entries with."""
    if not isinstance(value, dict) or not 0 < len(value) <= MAX_METADATA:
        return False
    return all(
        key and _TAG.fullmatch(key) and isinstance(text, str) and _TAG.fullmatch(text) for key, text in value.items()
    )


def _spare_points(body: Block, left: Leftovers) -> None:
    """Takes away the first cache points where there are too many: the last ones cover the longest prefixes."""
    over = sum(1 for _ in _points(body)) - MAX_POINTS
    if over <= 0:
        return
    left.clamp(CACHE, f"last {MAX_POINTS}")
    spare = over

    def kept(blocks: list[Block]) -> list[Block]:
        nonlocal spare
        out: list[Block] = []
        for block in blocks:
            if "cachePoint" in block and spare > 0:
                spare -= 1
            else:
                out.append(block)
        return out

    if "toolConfig" in body:
        body["toolConfig"] = {**body["toolConfig"], "tools": kept(body["toolConfig"]["tools"])}
    if "system" in body:
        body["system"] = kept(body["system"])
    body["messages"] = [{**message, "content": kept(message["content"])} for message in body["messages"]]


def _points(body: Mapping[str, Any]) -> Iterator[Block]:
    """Cache points in the order of what they cover."""
    for block in (
        *body.get("toolConfig", {}).get("tools", ()),
        *body.get("system", ()),
        *(block for message in body["messages"] for block in message["content"]),
    ):
        if "cachePoint" in block:
            yield block
