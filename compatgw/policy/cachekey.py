"""Under which key an answer is kept, which requests are not kept at all, and whether two bodies are the same.

The key is a digest of everything that can change the answer: the whole request, members that we
do not know included (fields picked by hand collide, sooner or later), the gateway's own members,
the tenant, which providers are in sight, and the version of the configuration. So:

* the order of members does not matter, except in JSON Schemas: models write their answers in a schema's order;
* numbers are what JSON has written: 1 and 1.0 are two texts and two keys. Where OpenAI's reference says
  `number`, validation has made both 1.0 before;
* `stream` and `stream_options` are left out: they say how an answer is told, and a kept one is told either way;
* `retries` and `timeout` are left out: they say how hard to try;
* everything else is in, even `user` or `metadata`: a miss too many costs a call, a hit too many is a wrong answer.

The target that answers is not part of it: the key is looked up before one is chosen, the
version says what the model's name means, and an answer of a fallback model is not kept.

What does not live here: keeping answers and waiting for them (`flow/cache.py`), the caller's own wish (`X-Cache`).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

import orjson

from compatgw.wire.multipart import Upload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOLD = frozenset({"stream", "stream_options"})
"""Members of a request that say how its answer is told."""
TRIED = frozenset({"retries", "timeout"})
"""The gateway's own members that say how hard to try."""

Bypass = Literal[
    "store",  # the upstream is to keep the answer: a copy of ours would not be there
    "state",  # the answer depends on what the upstream remembers
    "background",  # the answer comes later, elsewhere
    "hosted_tool",  # the upstream runs tools itself: they act, or look at a world that changes
    "choices",  # several choices: their sense is that they differ
    "audio",  # spoken answers have an id that ends within the hour
]
"""Why a request is not kept; a word for logs and for explaining."""

_STATE = ("previous_response_id", "conversation", "container")
_HOSTED = ("web_search_options", "plugins", "mcp_servers", "search_parameters")
# Tools that the client runs, whose results come back in its next request. A tool without a type is one of
# these in older shapes and in Anthropic's.
_OF_THE_CLIENT = frozenset({None, "function", "custom"})
# Members that hold a JSON Schema, in all surfaces' shapes.
_SCHEMA_HOLDERS = ("tools", "functions", "response_format", "text", "output_config", "output_format")

_DIGEST = 32
_CACHE = b"compatgw cache 1"
_IDEMPOTENCY = b"compatgw idem 1"


def key(
    kind: str,
    request: Mapping[str, Any],
    *,
    tenant: str,
    scope: frozenset[str] | None,
    version: str,
    own: Mapping[str, Any] | None = None,
) -> str:
    """The key of `request`: 64 hexadecimal digits.

    Args:
        kind: What is asked for, such as `chat` or `embeddings`, whose requests may look alike.
        request: As it would be sent, after prompts were rendered and input guardrails ran.
        tenant: Whose answers these are; "" for everybody's.
        scope: Names of the providers in sight; None: all.
        version: Changes whenever the configuration does.
        own: The gateway's own members, JSON values.
    """
    asked = {name: value for name, value in request.items() if name not in TOLD}
    ours = {name: value for name, value in own.items() if name not in TRIED} if own else {}
    sight = None if scope is None else sorted(scope)
    text = orjson.dumps([kind, tenant, sight, version, ours, asked], option=orjson.OPT_SORT_KEYS)
    digest = blake2b(text, digest_size=_DIGEST, person=_CACHE)
    if schemas := [schema for name in _SCHEMA_HOLDERS if name in asked for schema in _schemas(asked[name])]:
        # The text before is one JSON value, so that nothing of it can be taken for a part of this one.
        digest.update(orjson.dumps(schemas))
    return digest.hexdigest()


def _schemas(value: Any) -> Iterator[Any]:
    """The JSON Schemas in a tool, a list of tools or a format, as their author ordered them."""
    if isinstance(value, list):
        for item in value:
            yield from _schemas(item)
    elif isinstance(value, dict):
        for name in sorted(value.keys() & _SCHEMAS):
            yield value[name]
        for name in sorted(value.keys() & _AROUND_SCHEMAS):
            yield from _schemas(value[name])


_SCHEMAS = frozenset({"parameters", "schema", "input_schema"})
_AROUND_SCHEMAS = frozenset({"function", "json_schema", "format"})


def bypass(request: Mapping[str, Any], *, asked: bool = False) -> Bypass | None:
    """Why the answer to `request` is neither kept nor taken from what was kept; None when it may be.

    Function tools are no reason: a kept answer names the same call again, and the client runs it
    again. Nor is a temperature: who turns a cache on wants the same answer to the same question.

    Args:
        asked: The caller asked for the cache in this request, and so for the same choices again.
    """
    if request.get("store"):
        return "store"
    if request.get("background"):
        return "background"
    if any(request.get(name) for name in _STATE):
        return "state"
    if any(request.get(name) is not None for name in _HOSTED) or any(map(_is_hosted, request.get("tools") or ())):
        return "hosted_tool"
    if request.get("audio") is not None or "audio" in (request.get("modalities") or ()):
        return "audio"
    return "choices" if not asked and (request.get("n") or 1) > 1 else None


def _is_hosted(tool: Any) -> bool:
    return isinstance(tool, dict) and tool.get("type") not in _OF_THE_CLIENT


def fingerprint(kind: str, body: Any) -> str:
    """What an `Idempotency-Key` was first used with: 64 hexadecimal digits of everything in the body.

    Here every member counts, `stream` and `timeout` too: it is the same request or it is not. Only
    the order of members does not, because it changes when a body is written again.

    Args:
        kind: What is asked for, such as `chat`.
        body: The JSON value that the client sent, files of a form in it.
    """
    text = orjson.dumps([kind, body], _file, orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS)
    return blake2b(text, digest_size=_DIGEST, person=_IDEMPOTENCY).hexdigest()


def _file(value: Any) -> list[Any]:
    """A file of a form, by the digest of its bytes."""
    if isinstance(value, Upload):
        return [value.name, value.filename, value.type, value.size, value.digest]
    raise TypeError(f"{type(value).__name__} is no part of a request")
