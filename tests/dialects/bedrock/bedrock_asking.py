"""Requests for tests: sent through the codec, and judged on the way out by who knows nothing of it.

One judge is the rule book of the fake, which was written from the service's model; where AWS's own library
is installed, its validator over that model is another.
"""

from __future__ import annotations

import base64
import functools
import importlib.util
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import orjson

from compatgw.dialects.base import Context, Outgoing, Target
from compatgw.dialects.bedrock import DIALECT
from compatgw_testing.fakes.bedrock.rules import Thoughts, check_request

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ADAPTIVE = "global.anthropic.claude-sonnet-5-5-v1:0"
BETWEEN = "us.anthropic.claude-sonnet-4-6"
OLD = "anthropic.claude-3-haiku-20240307-v1:0"
NOVA = "us.amazon.nova-lite-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
OSS = "openai.gpt-oss-120b-1:0"
LLAMA = "us.meta.llama3-3-70b-instruct-v1:0"
MISTRAL = "mistral.mistral-large-2402-v1:0"
TITAN = "amazon.titan-text-express-v1"
ARN = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123"
MODELS = (CLAUDE, ADAPTIVE, BETWEEN, OLD, NOVA, NOVA_2, OSS, LLAMA, MISTRAL, TITAN, ARN)

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJSVFT0YK"
SIGNATURE = "c2lnbmF0dXJl"

Json = dict[str, Any]
HI = {"role": "user", "content": "Hi"}


def codec() -> Any:
    """The codec under test."""
    assert DIALECT.chat is not None
    return DIALECT.chat


def target(model: str = CLAUDE, **members: Any) -> Target:
    """A target of a provider that has no name that matters."""
    return Target(provider="Vendor", model=model, **members)


def context(outgoing: Outgoing | None = None, model: str = CLAUDE, **memo: Any) -> Context:
    """The context that reads the answer to `outgoing`."""
    known = {**(outgoing.memo if outgoing else {}), **memo}
    return Context(target(model), id="chatcmpl-ours", created=1_780_000_000, memo=known)


def encode(
    model: str = CLAUDE, messages: Sequence[Json] = (HI,), where: Json | None = None, **members: Any
) -> Outgoing:
    """The request as it is sent; `where` holds members of the target."""
    request: Any = {"model": "m", "messages": list(messages), **members}
    before = orjson.dumps(request)
    outgoing: Outgoing = codec().encode(request, target(model, **(where or {})))
    assert orjson.dumps(request) == before, "encoding changed its argument"
    return outgoing


def sent(model: str = CLAUDE, messages: Sequence[Json] = (HI,), where: Json | None = None, **members: Any) -> Json:
    """The body of the request, which all judges take."""
    return accepted(encode(model, messages, where, **members), model)


class _Trusting(Thoughts):
    """Takes any signature: who made it is another test's matter."""

    def holds(self, signature: str, text: str) -> bool:
        return bool(signature)


def accepted(outgoing: Outgoing, model: str = CLAUDE) -> Json:
    """The body, which all judges take."""
    body: Json = orjson.loads(outgoing.body)
    check_request(body, model, _Trusting())
    if (judge := _validator()) is not None:
        validator, shape = judge
        report = validator.validate({"modelId": "m", **_with_bytes(body)}, shape)
        assert not report.has_errors(), report.generate_report()
    return body


@functools.cache
def _validator() -> Any:
    """AWS's own validator of requests; None where its library is not installed."""
    if importlib.util.find_spec("botocore") is None:
        return None
    loader = import_module("botocore.loaders").Loader()
    model = import_module("botocore.model").ServiceModel(loader.load_service_model("bedrock-runtime", "service-2"))
    return import_module("botocore.validate").ParamValidator(), model.operation_model("Converse").input_shape


def _with_bytes(value: Any, name: str = "") -> Any:
    """`value` as the library's callers write it: bytes are bytes there."""
    if isinstance(value, dict):
        return {key: _with_bytes(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_bytes(inner, name) for inner in value]
    return base64.b64decode(value) if name in ("bytes", "redactedContent") and isinstance(value, str) else value


def tool(name: str = "get_weather", **function: Any) -> Json:
    """A function tool."""
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    return {"type": "function", "function": {"name": name, "parameters": parameters, **function}}


def called(*names: str, ids: Sequence[str] = (), content: Any = None, **members: Any) -> Json:
    """An assistant's turn that calls."""
    calls = [
        {"id": ids[n] if ids else f"call_{n}", "type": "function", "function": {"name": name, "arguments": '{"a": 1}'}}
        for n, name in enumerate(names)
    ]
    return {"role": "assistant", "content": content, "tool_calls": calls, **members}


def result(id: str = "call_0", content: Any = "sunny", **members: Any) -> Json:
    """A tool's result."""
    return {"role": "tool", "tool_call_id": id, "content": content, **members}
