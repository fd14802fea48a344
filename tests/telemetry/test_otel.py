"""Traces and metrics of OpenTelemetry, as its own SDK has them in memory."""

from __future__ import annotations

import asyncio
import importlib.metadata
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from opentelemetry import trace
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.trace import SpanKind, StatusCode

from compatgw import ConfigError, Gateway
from compatgw.telemetry.labels import Models
from compatgw.telemetry.otel import OpenTelemetry
from tests.canned import DONE, FINISH, ROLE, STREAM, USAGE, WORD, Canned
from tests.flow.test_vision import BLIND, asking, house, image
from tests.flow.upstreams import BUSY, Turns, good, post, several, streamed
from tests.telemetry.sightings import Numbers, Spans, about, carried, parent_of

OTEL: Any = {"otel": True}
ROOT = Path(__file__).parents[2]
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LABELS = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "one", "gen_ai.request.model": "m"}


def traced(upstreams: dict[str, Any], **settings: Any) -> Gateway:
    """A gateway that tells the process's own providers."""
    return several(upstreams, **{"telemetry": OTEL, **settings})


async def test_a_call_has_a_span_and_its_attempt_a_client_span_below(spans: Spans) -> None:
    """With who was asked for what, who answered, and how many tokens that were."""
    got = await post(traced({"one": good("the secret answer")}), temperature=0.5, max_tokens=7)
    (call,), (attempt,) = spans.calls, spans.attempts
    assert call.context is not None

    assert (call.name, call.kind, call.status.status_code) == ("compatgw chat", SpanKind.SERVER, StatusCode.UNSET)
    assert about(call)["compatgw.request.id"] == got.headers["x-request-id"]
    assert about(call)["http.response.status_code"] == 200
    assert not any(name.startswith("gen_ai.") for name in about(call))
    assert (attempt.name, attempt.kind) == ("chat m", SpanKind.CLIENT)
    assert parent_of(attempt) == f"{call.context.span_id:016x}"
    assert about(attempt) == {
        **LABELS,
        "server.address": "one",
        "server.port": 80,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 7,
        "gen_ai.response.id": "chatcmpl-up",
        "gen_ai.response.model": "real-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 2,
    }
    assert "secret" not in repr([about(span) for span in spans.all])
    assert (call.start_time or 0) <= (attempt.start_time or 0) <= (attempt.end_time or 0) <= (call.end_time or 0)


async def test_a_streams_span_lasts_until_its_end(spans: Spans) -> None:
    """With the time of its first content, and the tokens that its last chunk told."""
    await post(traced({"one": streamed()}), stream=True)
    (attempt,) = spans.attempts

    assert about(attempt)["gen_ai.request.stream"] is True
    assert about(attempt)["gen_ai.response.time_to_first_chunk"] >= 0
    assert about(attempt)["gen_ai.usage.output_tokens"] == 2
    assert attempt.status.status_code is StatusCode.UNSET


async def test_a_failure_and_what_took_its_place_are_side_by_side(spans: Spans) -> None:
    """Each attempt has its own span, the failed ones with their error."""
    app = traced({"one": Turns(Canned(BUSY, 503)), "two": good()}, retries=1)
    await post(app, fallback=["two/m"])
    (call,), attempts = spans.calls, spans.attempts

    assert [about(span)["gen_ai.provider.name"] for span in attempts] == ["one", "one", "two"]
    assert [about(span).get("error.type") for span in attempts] == [
        "upstream_unavailable",
        "upstream_unavailable",
        None,
    ]
    assert [span.status.status_code for span in attempts] == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET]
    assert about(attempts[0])["http.response.status_code"] == 503
    assert (about(call)["compatgw.attempts"], about(call)["compatgw.fallback"]) == (3, True)
    assert len({parent_of(span) for span in attempts}) == 1


async def test_a_stream_that_breaks_is_an_error_of_both(spans: Spans) -> None:
    """Although its status was 200."""
    await post(traced({"one": Canned([ROLE, WORD], kind=STREAM, then="break")}), stream=True)
    (call,), (attempt,) = spans.calls, spans.attempts

    assert about(attempt)["error.type"] == about(call)["error.type"] == "upstream_stream_interrupted"
    assert attempt.status.status_code is call.status.status_code is StatusCode.ERROR


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_its_spans(spans: Spans, stream: bool) -> None:
    """The attempt was cancelled; for the gateway that is no error."""
    up = Canned([ROLE, WORD] if stream else b"", kind=STREAM if stream else "application/json", then="hang")
    call = asyncio.create_task(post(traced({"one": up}), stream=stream))
    await up.began.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    (span,), (attempt,) = spans.calls, spans.attempts

    assert about(attempt)["error.type"] == "cancelled"
    assert (about(span)["error.type"], span.status.status_code) == ("client_gone", StatusCode.UNSET)


async def test_the_callers_own_mistake_is_no_error_of_the_server(spans: Spans) -> None:
    """Its span says which, and nobody was asked."""
    await post(traced({"one": good()}), model="openai/gpt-4o")
    (call,) = spans.calls

    assert (about(call)["error.type"], call.status.status_code) == ("model_not_found", StatusCode.UNSET)
    assert spans.attempts == []


async def test_choices_side_by_side_are_attempts_of_one_call(spans: Spans) -> None:
    """Each with the tokens that it said itself."""
    await post(traced({"one": {"app": good(), "quirks": {"n": False}}}), n=3)
    (call,), attempts = spans.calls, spans.attempts

    assert [about(span)["gen_ai.usage.output_tokens"] for span in attempts] == [2, 2, 2]
    assert about(call)["compatgw.output_tokens"] == 6


async def test_other_endpoints_have_their_own_operation(spans: Spans) -> None:
    """`embeddings` is one of the conventions'."""
    body = {
        "object": "list",
        "model": "m",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}],
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }
    app = traced({"one": Canned(orjson.dumps(body))})
    async with app.client(api_key="k") as client:
        await client.post("/v1/embeddings", json={"model": "one/m", "input": "hi", "dimensions": 2})
    (attempt,) = spans.attempts

    assert attempt.name == "embeddings m"
    assert about(attempt)["gen_ai.embeddings.dimension.count"] == 2
    assert about(attempt)["gen_ai.usage.input_tokens"] == 4


# --- which trace it is part of -----------------------------------------------------------------


async def test_the_callers_trace_goes_on_to_the_upstream(spans: Spans) -> None:
    """Each attempt names its own span, and the baggage stays here."""
    one, two = Canned(BUSY, 503), good()
    sent = {"traceparent": PARENT, "tracestate": "shop=1", "baggage": "user=ann"}
    await post(traced({"one": one, "two": two}), sent, fallback=["two/m"])
    (call,), attempts = spans.calls, spans.attempts

    assert parent_of(call) == "b7ad6b7169203331"
    assert [up.seen[0][b"traceparent"] for up in (one, two)] == [carried(span) for span in attempts]
    assert one.seen[0][b"traceparent"] != two.seen[0][b"traceparent"]
    assert two.seen[0][b"tracestate"] == b"shop=1"
    assert b"baggage" not in two.seen[0]


async def test_the_hosts_span_is_the_parent(spans: Spans) -> None:
    """It has heard of the caller's trace already, and knows better."""
    up = good()
    app = traced({"one": up})
    with trace.get_tracer("host").start_as_current_span("host") as host:
        await post(app, {"traceparent": PARENT})
        assert trace.get_current_span() is host
    call = next(span for span in spans.calls if span.name == "compatgw chat")

    assert call.kind is SpanKind.INTERNAL
    assert parent_of(call) == f"{host.get_span_context().span_id:016x}"
    assert up.seen[0][b"traceparent"] == carried(spans.attempts[0])


@pytest.mark.parametrize("telemetry", [{}, {"metrics": "open"}])
async def test_without_opentelemetry_the_trace_passes_through(telemetry: Any) -> None:
    """As it came; nothing that is none, and nothing where there was none."""
    up = good()
    app = several({"one": up}, telemetry=telemetry)
    await post(app, {"traceparent": PARENT, "tracestate": "shop=1"})
    await post(app, {"traceparent": "00-0-0-01"})
    await post(app)

    assert up.seen[0][b"traceparent"] == PARENT.encode()
    assert up.seen[0][b"tracestate"] == b"shop=1"
    assert b"traceparent" not in up.seen[1]
    assert b"traceparent" not in up.seen[2]


# --- prompts and answers -----------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_prompts_and_answers_are_told_where_that_is_switched_on(spans: Spans, stream: bool) -> None:
    """In the conventions' format, on the attempt that answered."""
    app = traced({"one": streamed("Good ", "day") if stream else good("Good day")}, telemetry={**OTEL, "content": True})
    await post(
        app, messages=[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}], stream=stream
    )
    (attempt,) = spans.attempts

    assert orjson.loads(about(attempt)["gen_ai.input.messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be kind."}]},
        {"role": "user", "parts": [{"type": "text", "content": "Hi"}]},
    ]
    assert orjson.loads(about(attempt)["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Good day"}], "finish_reason": "stop"}
    ]
    assert about(attempt)["gen_ai.response.finish_reasons"] == ("stop",)


async def test_a_broken_answer_is_not_told_as_a_whole_one(spans: Spans) -> None:
    """What was asked is."""
    broken = Canned([ROLE, WORD], kind=STREAM, then="break")
    await post(traced({"one": broken}, telemetry={**OTEL, "content": True}), stream=True)
    (attempt,) = spans.attempts

    assert "gen_ai.input.messages" in about(attempt)
    assert "gen_ai.output.messages" not in about(attempt)


# --- metrics -----------------------------------------------------------------------------------


async def test_calls_and_attempts_are_measured(numbers: Numbers) -> None:
    """By the conventions' names, with who was asked for what."""
    app = traced({"one": Turns(Canned(BUSY, 503), streamed())}, retries=1)
    await post(app, stream=True)
    place = frozenset({*LABELS.items()})
    server = frozenset({*place, ("server.address", "one"), ("server.port", "80")})
    took = numbers.of("gen_ai.client.operation.duration")
    tokens = numbers.of("gen_ai.client.token.usage")

    assert {labels: count for labels, (count, _) in took.items()} == {
        server: 1,
        server | {("error.type", "upstream_unavailable")}: 1,
    }
    answered = place | {("gen_ai.response.model", "real-1")}
    assert tokens == {
        answered | {("gen_ai.token.type", "input")}: (1, 3),
        answered | {("gen_ai.token.type", "output")}: (1, 2),
    }
    assert list(numbers.of("gen_ai.client.operation.time_to_first_chunk")) == [server]
    assert list(numbers.of("gen_ai.server.request.duration")) == [place]
    assert list(numbers.of("gen_ai.server.time_to_first_token")) == [place]


async def test_names_that_callers_make_up_are_no_labels(numbers: Numbers, spans: Spans) -> None:
    """Neither in metrics, nor in names of spans."""
    app = traced({"one": {"app": Canned(BUSY, 404), "models": []}})
    for number in range(20):
        await post(app, model=f"one/made-up-{number}")
    models = {dict(labels)["gen_ai.request.model"] for labels in numbers.of("gen_ai.client.operation.duration")}

    assert models == {"other"}
    assert {span.name for span in spans.all} == {"chat", "compatgw chat"}


async def test_every_name_is_one_of_the_conventions(spans: Spans, numbers: Numbers) -> None:
    """As OpenTelemetry's own package lists them."""
    known = {value for _, value in inspect.getmembers(gen_ai_attributes) if isinstance(value, str)}
    measured = {value for _, value in inspect.getmembers(gen_ai_metrics) if isinstance(value, str)}
    app = traced({"one": streamed(), "two": good()}, telemetry={**OTEL, "content": True})
    await post(
        app, stream=True, temperature=0, top_p=1, max_tokens=5, seed=1, presence_penalty=0.1, frequency_penalty=0.1
    )
    await post(app, model="two/m", n=2)
    told = {name for span in spans.all for name in about(span)} | numbers.names()

    assert {name for name in told if name.startswith("gen_ai.")} <= known
    assert {name for name in told if not name.startswith(("gen_ai.", "compatgw."))} <= {
        "server.address", "server.port", "http.response.status_code", "error.type",
    }  # fmt: skip
    instruments = ("client.operation.duration", "client.operation.time_to_first_chunk", "client.token.usage")
    assert {f"gen_ai.{name}" for name in (*instruments, "server.request.duration")} <= measured
    assert importlib.metadata.version("opentelemetry-semantic-conventions")


# --- when it is there at all -------------------------------------------------------------------


async def test_it_is_off_unless_it_is_asked_for(spans: Spans) -> None:
    """And `auto` asks for it where it is installed."""
    await post(several({"one": good()}))
    assert spans.all == ()
    await post(several({"one": good()}, telemetry={"otel": "auto"}))
    assert len(spans.all) == 2


def test_asking_for_what_is_not_installed_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And `auto` does without it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"telemetry\.otel.*compatgw\[otel\]"):
        Gateway(keys=["k"], telemetry={"otel": True}, environ={})
    assert Gateway(keys=["k"], telemetry={"otel": "auto"}, environ={}).settings.telemetry.otel == "auto"


def test_while_the_process_has_no_provider_nothing_is_made() -> None:
    """And once it has one, the same gateway tells it."""
    code = """
import asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.flow.upstreams import good, post, several

async def main():
    up = good()
    app = several({"one": up}, telemetry={"otel": "auto"})
    observer = app._standing.house.observers[0]
    begin, tokens = observer.began, []
    observer.began = lambda call: tokens.append(begin(call)) or tokens[-1]
    await post(app, {"traceparent": PARENT})
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    await post(app, {"traceparent": PARENT})
    print(tokens[0], up.seen[0][b"traceparent"].decode() == PARENT, len(exporter.get_finished_spans()))

asyncio.run(main())
""".replace("PARENT", repr(PARENT))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert done.stdout == "None True 2\n"


@pytest.mark.parametrize("stream", [False, True])
async def test_images_put_into_words_are_attempts_of_the_same_call(spans: Spans, stream: bool) -> None:
    """Each with its own tokens, and its own model."""
    blind = streamed() if stream else good()
    app = house(good("A fox."), blind, telemetry={**OTEL, "content": True})
    await post(app, model=BLIND, messages=asking(image()), stream=stream)
    (call,), (description, answer) = spans.calls, spans.attempts

    assert [about(span)["gen_ai.provider.name"] for span in (description, answer)] == ["openai", "deepseek"]
    assert [about(span)["gen_ai.usage.output_tokens"] for span in (description, answer)] == [2, 2]
    assert "gen_ai.output.messages" not in about(description)
    assert orjson.loads(about(answer)["gen_ai.input.messages"])[0]["parts"][0]["type"] == "blob"
    assert about(call)["compatgw.attempts"] == 1
    assert parent_of(description) == parent_of(answer)


async def test_without_an_sdk_nothing_is_recorded_and_the_trace_goes_on() -> None:
    """The API alone makes spans that are none, in the caller's own trace."""
    up = good()
    app = several({"one": up}, telemetry=OTEL)
    silent = OpenTelemetry(version="1", models=Models(), tracers=trace.NoOpTracerProvider())
    object.__setattr__(app._standing.house, "observers", (silent,))
    await post(app, {"traceparent": PARENT})

    assert up.seen[0][b"traceparent"] == PARENT.encode()


async def test_calls_side_by_side_do_not_mix_their_spans(spans: Spans) -> None:
    """Each attempt is below its own call, in the trace of its own caller."""
    app = traced({"one": good(), "two": Canned([ROLE, WORD, FINISH, USAGE, DONE], kind=STREAM)})
    parents = [f"00-{number:032x}-{number:016x}-01" for number in range(1, 31)]
    await asyncio.gather(
        *[
            post(app, {"traceparent": parent}, model="two/m" if number % 2 else "one/m", stream=bool(number % 2))
            for number, parent in enumerate(parents)
        ]
    )
    traces: dict[int, list[str]] = {}
    for span in spans.all:
        assert span.context is not None
        traces.setdefault(span.context.trace_id, []).append(span.name)

    assert len(traces) == 30
    assert all(sorted(names) == ["chat m", "compatgw chat"] for names in traces.values())
