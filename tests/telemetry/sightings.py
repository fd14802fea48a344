"""What whoever watches saw: spans and numbers of the OpenTelemetry SDK, and `/metrics` as Prometheus' own parsers read it.

What does not live here: gateways and their upstreams (`tests/flow/upstreams.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind, format_span_id, format_trace_id
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from compatgw import Gateway

OPENMETRICS = "application/openmetrics-text; version=1.0.0; q=0.8, text/plain; version=0.0.4; q=0.5"
Labels = frozenset[tuple[str, str]]


class Spans:
    """Finished spans."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    @property
    def all(self) -> tuple[ReadableSpan, ...]:
        """In the order of their ends."""
        return self._exporter.get_finished_spans()

    @property
    def calls(self) -> list[ReadableSpan]:
        """Those of calls."""
        return [span for span in self.all if span.kind is not SpanKind.CLIENT]

    @property
    def attempts(self) -> list[ReadableSpan]:
        """Those of attempts, by when they began."""
        found = [span for span in self.all if span.kind is SpanKind.CLIENT]
        return sorted(found, key=lambda span: span.start_time or 0)


def about(span: ReadableSpan) -> dict[str, Any]:
    """Its attributes."""
    return dict(span.attributes or {})


def parent_of(span: ReadableSpan) -> str | None:
    """The id of its parent."""
    return format_span_id(span.parent.span_id) if span.parent is not None else None


def carried(span: ReadableSpan) -> bytes:
    """What a `traceparent` says that names this span."""
    context = span.get_span_context()
    assert context is not None
    return (
        f"00-{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}-{context.trace_flags:02x}".encode()
    )


class Numbers:
    """Data points of the SDK, beyond what was there before."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader
        self._before = self._read()

    def of(self, name: str) -> dict[Labels, tuple[int, float]]:
        """Count and sum of one metric by its labels; only those that something was added to."""
        found = {}
        for (metric, labels), (count, total) in self._read().items():
            known, sum_before = self._before.get((metric, labels), (0, 0.0))
            if metric == name and count > known:
                found[labels] = (count - known, total - sum_before)
        return found

    def names(self) -> set[str]:
        """All attributes of all metrics."""
        return {name for _, labels in self._read() for name, _ in labels}

    def _read(self) -> dict[tuple[str, Labels], tuple[int, float]]:
        data: Any = self._reader.get_metrics_data()
        if data is None:
            return {}
        found: dict[tuple[str, Labels], tuple[int, float]] = {}
        # The same series may be there once for each version that measured it.
        for scope in [scope for resource in data.resource_metrics for scope in resource.scope_metrics]:
            for name, point in [(each.name, point) for each in scope.metrics for point in each.data.data_points]:
                place = (name, frozenset((label, str(value)) for label, value in point.attributes.items()))
                count, total = found.get(place, (0, 0.0))
                found[place] = (count + point.count, total + point.sum)
        return found


class Page:
    """`/metrics` as Prometheus reads it."""

    def __init__(self, text: str, *, openmetrics: bool) -> None:
        parse = openmetrics_parser.text_string_to_metric_families if openmetrics else text_string_to_metric_families
        self.families = {family.name: family for family in parse(text)}
        self.samples = [
            (sample.name, sample.labels, sample.value) for family in self.families.values() for sample in family.samples
        ]

    def value(self, name: str, **labels: str) -> float:
        """The sum of all samples with this name and these labels; 0 where there is none."""
        return sum(value for found, own, value in self.samples if found == name and labels.items() <= own.items())

    def rows(self, name: str) -> list[Mapping[str, str]]:
        """The labels of all samples with this name."""
        return [labels for found, labels, _ in self.samples if found == name]


async def page(app: Gateway, key: str | None = None, *, openmetrics: bool = False) -> Page:
    """The page of a gateway."""
    got = await fetched(app, key, openmetrics=openmetrics)
    assert got.status_code == 200, got.text
    return Page(got.text, openmetrics=openmetrics)


async def fetched(app: Gateway, key: str | None = None, *, openmetrics: bool = False) -> httpx.Response:
    """The answer to `GET /metrics`."""
    async with app.client(api_key=key) as client:
        return await client.get("/metrics", headers={"accept": OPENMETRICS} if openmetrics else {})
