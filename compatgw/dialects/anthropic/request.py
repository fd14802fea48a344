"""A hub request becomes the body of `POST /messages`.

The version is always 2023-06-01: it is the one in which sampling parameters may be sent, and
what this dialect sends is the same in the newer one. The memo holds what `tools.py` and
`names.py` of `blocks/` say, and

    json_object   the answer is one JSON object; a code fence round it is taken off
    hidden        the text of the thinking is left out of the answer

What does not live here: messages (`messages.py`), tools (`tools.py`), how much a model
thinks (`blocks/thinking.py`), answers (`response.py`, `stream.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from compatgw.dialects import ids
from compatgw.dialects.anthropic import content, messages, models, schema, tools
from compatgw.dialects.base import Leftovers, Outgoing
from compatgw.dialects.blocks import request as blocks
from compatgw.dialects.blocks import thinking
from compatgw.dialects.blocks.content import CACHE
from compatgw.dialects.blocks.names import Names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from compatgw.dialects.anthropic.models import Traits
    from compatgw.dialects.anthropic.tools import Tools
    from compatgw.dialects.base import Target
    from compatgw.dialects.blocks.messages import Conversation
    from compatgw.dialects.blocks.thinking import Plan
    from compatgw.wire.chat import ChatRequest

PATH = "/messages"
VERSION = "2023-06-01"
MAX_MARKS = 4
MAX_USER = 256
MAX_NAME = 128
# The API sets no limit for ids; this one only keeps them from growing without end.
MAX_ID = 256

# Anthropic's own members, as they are; some only work with the header of their trial.
NATIVE = ("container", "context_management", "diagnostics", "inference_geo", "mcp_servers", "speed")
BETAS = {
    "context_management": "context-management-2025-06-27",
    "mcp_servers": "mcp-client-2025-04-04",
    "speed": "fast-mode-2026-02-01",
}
SEMANTIC = ("audio", "logprobs", "modalities", "n", "top_logprobs")
# Members that something here reads; whatever else a request holds is a hint that is left out.
READ = frozenset(
    {
        *NATIVE, *SEMANTIC, *thinking.READ,
        "cache_control", "function_call", "functions", "messages", "model", "output_config", "parallel_tool_calls",
        "response_format", "safety_identifier", "service_tier", "stop", "stream", "stream_options", "temperature",
        "tool_choice", "tools", "top_k", "top_p", "user", "web_search_options",
    }
)  # fmt: skip
_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def encode(request: ChatRequest, target: Target) -> Outgoing:
    """The request as Anthropic takes it.

    Raises:
        InvalidRequest: Something in it is not what it says, or asks for what is not there.
        UnsupportedParameter: Something that would change what the caller gets cannot be carried.
    """
    members = cast("dict[str, Any]", request)
    traits = models.traits(target)
    left = Leftovers(target)
    names = Names(MAX_NAME, MAX_ID)
    for name in SEMANTIC:
        left.semantic(name, members.get(name), why=blocks.WHY.get(name, ""))
    talk = messages.translate(members["messages"], target, traits, names, left)
    found = tools.collect(members, traits, names, left, budgeted=thinking.budgeted(members, traits))
    found = tools.remembered(found, talk.called)
    found = tools.with_search(found, members.get("web_search_options"), traits.web_search, left)
    found, form, words = _formatted(members.get("response_format"), found, traits, left)
    barred = found.forced or talk.prefill or talk.unthought
    planned = _limited(thinking.plan(members, traits, left, barred=barred, display=True), traits)
    body = _body(members, target, talk, found, planned, (found.nudge, words))
    _configured(members, body, planned, form)
    body |= blocks.sampling(members, traits, left, on=planned.on, top_k=True)
    _rest(members, body, left)
    _spare_marks(body, left)
    memo = {**names.memo(), **found.memo}
    if words:
        memo["json_object"] = True
    if planned.hidden:
        memo["hidden"] = True
    return Outgoing(
        path=PATH,
        body=blocks.written(body),
        headers=_headers(body),
        dropped=tuple(left.dropped),
        clamped=tuple(left.clamped),
        memo=memo,
    )


def _limited(planned: Plan, traits: Traits) -> Plan:
    """`planned` with a limit of the answer, which has to be sent."""
    if planned.max_tokens is not None:
        return planned
    usual = thinking.THOUGHTFUL if planned.thinks else thinking.ANSWER
    return planned._replace(max_tokens=usual if traits.max_output is None else min(usual, traits.max_output))


def _body(
    members: Mapping[str, Any], target: Target, talk: Conversation, found: Tools, planned: Plan, more: tuple[str, ...]
) -> dict[str, Any]:
    body: dict[str, Any] = {"model": target.model, "max_tokens": planned.max_tokens, "messages": talk.messages}
    system = [*talk.system, *(block for words in more for block in content.text(words))]
    if system:
        body["system"] = system
    if found.tools:
        body["tools"] = found.tools
        if found.choice is not None:
            body["tool_choice"] = found.choice
    if planned.thinking is not None:
        body["thinking"] = planned.thinking
    if members.get("stream"):
        body["stream"] = True
    return body


def _headers(body: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    betas = [value for name, value in BETAS.items() if name in body]
    version = ("anthropic-version", VERSION)
    return (version, ("anthropic-beta", ",".join(betas))) if betas else (version,)


# --- formats and configuration ---------------------------------------------------------------


def _formatted(
    wanted: Mapping[str, Any] | None, found: Tools, traits: Traits, left: Leftovers
) -> tuple[Tools, dict[str, Any] | None, str]:
    """Tools, the native format, and a sentence for the system text: one of the last two, or a tool."""
    if wanted is None or wanted["type"] == "text":
        return found, None, ""
    inner = wanted.get("json_schema") or {}
    if not inner.get("schema"):
        left.clamp("response_format", "instruction")
        return found, None, blocks.JSON
    if traits.structured:
        return found, {"type": "json_schema", "schema": schema.strict(inner["schema"])}, ""
    if not traits.forced:
        left.semantic("response_format", wanted, why="This model knows no structured output.")
        return found, None, blocks.JSON
    return tools.with_answer(found, inner), None, ""


def _configured(members: Mapping[str, Any], body: dict[str, Any], planned: Plan, form: dict[str, Any] | None) -> None:
    config = {"effort": planned.effort, "format": form}
    config = {
        **{name: value for name, value in config.items() if value is not None},
        **blocks.object_at(members, "output_config"),
    }
    if config:
        body["output_config"] = config


# --- everything else -------------------------------------------------------------------------


def _rest(members: Mapping[str, Any], body: dict[str, Any], left: Leftovers) -> None:
    if kept := blocks.stops(members, left):
        body["stop_sequences"] = kept
    user = members.get("safety_identifier") or members.get("user")
    if user:
        body["metadata"] = {"user_id": _anonymous(user)}
    tier = members.get("service_tier")
    if tier in _TIERS:
        body["service_tier"] = _TIERS[tier]
    else:
        left.hint("service_tier", tier)
    for name in NATIVE:
        if members.get(name) is not None:
            body[name] = members[name]
    if found := content.mark({CACHE: members.get(CACHE)}):
        body[CACHE] = found
    for name, value in members.items():
        if name not in READ:
            left.hint(name, value)


def _anonymous(user: Any) -> str:
    """An id that names nobody: addresses must not be sent, and there is a limit of length."""
    given = str(user)
    return ids.digest(given) if _MAIL.search(given) or len(given) > MAX_USER else given


def _spare_marks(body: dict[str, Any], left: Leftovers) -> None:
    """Takes away the first cache marks where there are too many: the last ones cover the longest prefixes."""
    holders = [holder for holder in _holders(body) if CACHE in holder]
    # The mark of the request itself stands for one on its last block.
    over = len(holders) - (MAX_MARKS - (CACHE in body))
    if over > 0:
        left.clamp(CACHE, f"last {MAX_MARKS}")
        for holder in holders[:over]:
            del holder[CACHE]


def _holders(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from body.get("tools", ())
    yield from body.get("system", ())
    for message in body["messages"]:
        for block in message["content"]:
            inner = block.get("content")
            if isinstance(inner, list):  # a result's own blocks come before its end
                yield from inner
            yield block
