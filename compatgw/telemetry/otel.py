"""Traces and metrics for OpenTelemetry, by its conventions for generative AI, through the providers of the process.

    compatgw chat                the call: child of the host's span, or of the caller's `traceparent`
      chat gpt-4o                each attempt: a client span, whose `traceparent` goes to the upstream

What `gen_ai.*` says stands on attempts alone, so that whoever adds up tokens over spans counts none twice. The names
are pinned here: the conventions are still being worked on, and change between versions.

What does not live here: prompts and answers as text (`messages.py`), when anything is told (`flow/watching.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry import context, metrics, propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from compatgw.telemetry import messages
from compatgw.telemetry.base import Observer
from compatgw.telemetry.labels import OTHER, Codes
from compatgw.telemetry.metrics import FIRST_TOKEN, SECONDS

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from compatgw.telemetry.base import Began, Ended, Lines, Said, Streamed, Tried, Trying
    from compatgw.telemetry.labels import Models

TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
_NANO = 1_000_000_000
_NAME = 256
# Providers by the names that the conventions give them; all others have their own.
_PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "gemini": "gcp.gemini",
        "vertex": "gcp.vertex_ai",
        "vertex-anthropic": "gcp.vertex_ai",
        "vertex-openai": "gcp.vertex_ai",
        "azure": "azure.ai.openai",
        "azure-deployments": "azure.ai.openai",
        "azure-anthropic": "azure.ai.inference",
        "bedrock": "aws.bedrock",
        "bedrock-openai": "aws.bedrock",
        "bedrock-mantle": "aws.bedrock",
        "bedrock-mantle-openai": "aws.bedrock",
        "bedrock-mantle-anthropic": "aws.bedrock",
        "mistral": "mistral_ai",
        "moonshot": "moonshot_ai",
        "xai": "x_ai",
    }
)
# Endpoints by the conventions' operations; the rest are operations of their own.
_OPERATIONS: Mapping[str, str] = MappingProxyType(
    {"messages": "chat", "responses": "chat", "completions": "text_completion"}
)
_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "temperature": "gen_ai.request.temperature",
        "top_p": "gen_ai.request.top_p",
        "max_tokens": "gen_ai.request.max_tokens",
        "max_completion_tokens": "gen_ai.request.max_tokens",
        "frequency_penalty": "gen_ai.request.frequency_penalty",
        "presence_penalty": "gen_ai.request.presence_penalty",
        "seed": "gen_ai.request.seed",
        "dimensions": "gen_ai.embeddings.dimension.count",
    }
)


class _Attempt:
    """One attempt under way."""

    __slots__ = ("answered", "at", "code", "counted", "end", "labels", "place", "span", "told")

    def __init__(self, span: Span, at: float, place: tuple[str, str, str], labels: dict[str, str | int]) -> None:
        self.span = span
        self.at = at
        # Operation, provider and model.
        self.place = place
        self.labels = labels
        # Attributes that the span gets at its end, all at once.
        self.told: dict[str, Any] = {}
        self.end: float | None = None
        self.code = ""
        # Its upstream said how many tokens it had.
        self.counted = False
        self.answered = ""


class _Call:
    """One call under way, and its attempts that have an answer."""

    __slots__ = ("answering", "inside", "operation", "span")

    def __init__(self, span: Span, inside: Context, operation: str) -> None:
        self.span = span
        self.inside = inside
        self.operation = operation
        self.answering: list[_Attempt] = []


class OpenTelemetry(Observer):
    """Tells the tracer and the meter of the process.

    Args:
        version: Of the package.
        models: Which models have their own names in metrics and names of spans.
        content: Spans hold prompts and answers, too.
        tracers, meters: Instead of the process's own providers.
    """

    traces = True

    def __init__(
        self,
        *,
        version: str,
        models: Models,
        content: bool = False,
        tracers: TracerProvider | None = None,
        meters: MeterProvider | None = None,
    ) -> None:
        self.content = content
        self._given = tracers is not None or meters is not None
        self._models = models
        self._codes = Codes()
        self._carrier = TraceContextTextMapPropagator()
        self._tracer = trace.get_tracer("compatgw", version, tracers)
        meter = metrics.get_meter("compatgw", version, meters)

        def histogram(name: str, unit: str, text: str, bounds: tuple[float, ...]) -> metrics.Histogram:
            return meter.create_histogram(name, unit, text, explicit_bucket_boundaries_advisory=list(bounds))

        self._took = histogram("gen_ai.client.operation.duration", "s", "How long attempts took.", SECONDS)
        self._first = histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            "Until the first content of an upstream's stream.",
            SECONDS,
        )
        self._tokens = histogram("gen_ai.client.token.usage", "{token}", "Tokens read and written.", TOKENS)
        self._served = histogram("gen_ai.server.request.duration", "s", "How long calls took, to their end.", SECONDS)
        self._served_first = histogram(
            "gen_ai.server.time_to_first_token", "s", "Until the first content of a stream.", FIRST_TOKEN
        )

    # --- the call -----------------------------------------------------------------------------

    def began(self, call: Began) -> _Call | None:
        """A span for the call, under the host's or the caller's; nothing while the process has no providers."""
        if not self._given and _is_idle(trace.get_tracer_provider()) and _is_idle(metrics.get_meter_provider()):
            return None
        hosted = trace.get_current_span().get_span_context().is_valid
        parent = context.get_current() if hosted else propagate.extract(call.headers)
        span = self._tracer.start_span(
            f"compatgw {call.endpoint}",
            parent,
            SpanKind.INTERNAL if hosted else SpanKind.SERVER,
            {
                "compatgw.request.id": call.id,
                "compatgw.endpoint": call.endpoint,
                "compatgw.model": _sound(call.model[:_NAME]),
                "compatgw.stream": call.stream,
            },
            start_time=_nanoseconds(call.at),
        )
        return _Call(span, trace.set_span_in_context(span, parent), _OPERATIONS.get(call.endpoint, call.endpoint))

    def ended(self, token: _Call | None, call: Ended) -> None:
        """The spans that are still open end, and the call is counted."""
        if token is None:
            return
        end = call.at + call.seconds
        alone = _answering(token, call)
        if alone is not None and not call.estimated:
            _tell_usage(alone, call.input, call.output, call.cached, call.reasoning)
        for attempt in token.answering:
            _close(attempt, attempt.end or end)
        labels = self._labels(token.operation, call.provider, call.target, answered=not call.code)
        answered = alone.answered if alone is not None else ""
        if not call.cached_answer and not call.estimated:
            for kind, tokens in (("input", call.input), ("output", call.output)):
                if tokens:
                    told = {**labels, "gen_ai.token.type": kind}
                    self._tokens.record(tokens, self._with_answering(told, call, answered), context=token.inside)
        if call.first_token is not None:
            self._served_first.record(call.first_token, labels, context=token.inside)
        if call.code:
            labels["error.type"] = self._codes.label(call.code)
        self._served.record(call.seconds, labels, context=token.inside)
        _tell_call(token.span, call)
        token.span.end(_nanoseconds(end))

    def _with_answering(self, labels: dict[str, str | int], call: Ended, answered: str) -> dict[str, str | int]:
        if answered and (label := self._models.label(call.provider, answered, answered=True)) != OTHER:
            return {**labels, "gen_ai.response.model": label}
        return labels

    # --- its attempts -------------------------------------------------------------------------

    def trying(self, token: _Call | None, attempt: Trying) -> _Attempt | None:
        """A span for the attempt."""
        if token is None:
            return None
        operation = _OPERATIONS.get(attempt.endpoint, attempt.endpoint)
        labels = {**self._labels(operation, attempt.provider, attempt.model), **_server(attempt.server)}
        told = {**labels, "gen_ai.request.model": _sound(attempt.model[:_NAME]), **_options(attempt)}
        span = self._tracer.start_span(
            _named(labels), token.inside, SpanKind.CLIENT, told, start_time=_nanoseconds(attempt.at)
        )
        return _Attempt(span, attempt.at, (operation, attempt.provider, attempt.model), labels)

    def headers(self, token: _Call | None, mark: _Attempt | None) -> Lines:
        """The trace, and nothing of the baggage: that is the host's own business, and upstreams are strangers."""
        if mark is None:
            return ()
        carrier: dict[str, str] = {}
        self._carrier.inject(carrier, trace.set_span_in_context(mark.span))
        return tuple(carrier.items())

    def tried(self, token: _Call | None, mark: _Attempt | None, attempt: Tried) -> None:
        """What is known of an answer; a failure ends its span."""
        if token is None or mark is None:
            return
        end = attempt.at + attempt.seconds
        if attempt.code:
            mark.code = attempt.code
            if attempt.status is not None:
                mark.told["http.response.status_code"] = attempt.status
            self._over(token, mark, end)
            _close(mark, end)
            return
        # There is such a model: from now on it has its own name.
        labels = self._labels(str(mark.labels["gen_ai.operation.name"]), attempt.provider, attempt.model, answered=True)
        if labels["gen_ai.request.model"] != mark.labels["gen_ai.request.model"]:
            mark.labels = {**mark.labels, **labels}
            mark.span.update_name(_named(labels))
        mark.answered = attempt.answered
        _tell_answer(mark, attempt)
        token.answering.append(mark)
        if attempt.input is not None and attempt.output is not None:
            mark.counted = True
            _tell_usage(mark, attempt.input, attempt.output)
        if not attempt.live:
            mark.end = end
            self._over(token, mark, end)
            return
        self._first.record(max(0.0, end - mark.at), mark.labels, context=token.inside)
        mark.told["gen_ai.response.time_to_first_chunk"] = max(0.0, end - mark.at)

    def streamed(self, token: _Call | None, mark: _Attempt | None, stream: Streamed) -> None:
        """The stream is over; its span waits for the call's end, when its tokens are known."""
        if token is None or mark is None:
            return
        mark.code, mark.end = stream.code, stream.at
        self._over(token, mark, stream.at)

    def said(self, token: _Call | None, said: Said) -> None:
        """What was asked and answered goes to the attempt that answered."""
        own = [] if token is None else [one for one in token.answering if one.place[0] == token.operation]
        if not own or not own[-1].span.is_recording():
            return
        told = own[-1].told
        told["gen_ai.input.messages"] = messages.inputs(said.messages)
        if said.choices:
            told["gen_ai.output.messages"] = messages.outputs(said.choices)
            told["gen_ai.response.finish_reasons"] = [str(choice.get("finish_reason") or "") for choice in said.choices]

    def _over(self, token: _Call, mark: _Attempt, end: float) -> None:
        labels = {**mark.labels, "error.type": self._codes.label(mark.code)} if mark.code else mark.labels
        self._took.record(max(0.0, end - mark.at), labels, context=token.inside)

    def _labels(self, operation: str, provider: str, model: str, *, answered: bool = False) -> dict[str, str | int]:
        labels: dict[str, str | int] = {"gen_ai.operation.name": operation}
        # Nobody was asked: then it is the gateway's own answer.
        labels["gen_ai.provider.name"] = _PROVIDERS.get(provider, provider) or "compatgw"
        if model:
            labels["gen_ai.request.model"] = self._models.label(provider, model, answered=answered)
        return labels


def _is_idle(provider: object) -> bool:
    """True for what stands in the API itself until somebody sets a provider that does something."""
    return type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


def _answering(token: _Call, call: Ended) -> _Attempt | None:
    """The attempt whose answer is the call's; None where several are, which have told their own tokens."""
    place = (token.operation, call.provider, call.target)
    own = [attempt for attempt in token.answering if attempt.place == place]
    own = [attempt for attempt in own if not attempt.counted] or own
    return own[0] if len(own) == 1 else None


def _named(labels: Mapping[str, str | int]) -> str:
    model = labels["gen_ai.request.model"]
    operation = str(labels["gen_ai.operation.name"])
    return operation if model == OTHER else f"{operation} {model}"


def _server(base_url: str) -> dict[str, str | int]:
    try:
        parts = urlsplit(base_url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return {}
    return {"server.address": parts.hostname, "server.port": port} if parts.hostname else {}


def _options(attempt: Trying) -> dict[str, Any]:
    asked = attempt.options
    told: dict[str, Any] = {
        _OPTIONS[name]: value for name, value in asked.items() if name in _OPTIONS and not isinstance(value, str)
    }
    if attempt.stream:
        told["gen_ai.request.stream"] = True
    if isinstance(count := asked.get("n"), int) and count > 1:
        told["gen_ai.request.choice.count"] = count
    if isinstance(form := asked.get("encoding_format"), str):
        told["gen_ai.request.encoding_formats"] = [_sound(form[:_NAME])]
    return told


def _tell_answer(mark: _Attempt, attempt: Tried) -> None:
    if attempt.id:
        mark.told["gen_ai.response.id"] = _sound(attempt.id[:_NAME])
    if attempt.answered:
        mark.told["gen_ai.response.model"] = _sound(attempt.answered[:_NAME])
    if attempt.finish:
        mark.told["gen_ai.response.finish_reasons"] = attempt.finish


def _tell_usage(mark: _Attempt, read: int, written: int, cached: int = 0, reasoning: int = 0) -> None:
    mark.told["gen_ai.usage.input_tokens"] = read
    mark.told["gen_ai.usage.output_tokens"] = written
    if cached:
        mark.told["gen_ai.usage.cache_read.input_tokens"] = cached
    if reasoning:
        mark.told["gen_ai.usage.reasoning.output_tokens"] = reasoning


def _tell_call(span: Span, call: Ended) -> None:
    if not span.is_recording():
        return
    told: dict[str, Any] = {
        "http.response.status_code": call.status,
        "compatgw.attempts": call.attempts,
        "compatgw.retries": call.retries,
        "compatgw.fallback": call.fallback,
        "compatgw.cached_answer": call.cached_answer,
        "compatgw.byok": call.byok,
        "compatgw.input_tokens": call.input,
        "compatgw.output_tokens": call.output,
        "compatgw.estimated": call.estimated,
    }
    texts = {
        "compatgw.provider": call.provider,
        "compatgw.target": call.target,
        "compatgw.team": call.team,
        "compatgw.key": call.key,
        # Text, as everywhere: an amount of money is no float.
        "compatgw.cost": "" if call.cost is None else format(call.cost, "f"),
        "error.type": call.code,
    }
    told.update({name: _sound(value[:_NAME]) for name, value in texts.items() if value})
    span.set_attributes(told)
    # What is the caller's own mistake, or its leaving, is no error of a server.
    if call.code and call.status >= 500:
        span.set_status(Status(StatusCode.ERROR, call.code))


def _close(attempt: _Attempt, end: float) -> None:
    span = attempt.span
    if span.is_recording():
        if attempt.code:
            attempt.told["error.type"] = attempt.code
            span.set_status(Status(StatusCode.ERROR, attempt.code))
        span.set_attributes(attempt.told)
    span.end(_nanoseconds(end))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * _NANO)


def _sound(text: str) -> str:
    """Without half characters, which exporters cannot write."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
