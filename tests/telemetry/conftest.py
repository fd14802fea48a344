"""The OpenTelemetry SDK of these tests: spans and numbers in memory, set as the process's providers once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.telemetry.sightings import Numbers, Spans


@pytest.fixture(scope="session")
def exporter() -> InMemorySpanExporter:
    """Where the spans of the process's own provider go; it can be set only once."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture(scope="session")
def reader() -> InMemoryMetricReader:
    """Where its numbers go."""
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    return reader


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[Spans]:
    """What this test's calls left behind."""
    exporter.clear()
    yield Spans(exporter)
    exporter.clear()


@pytest.fixture
def numbers(reader: InMemoryMetricReader) -> Numbers:
    """What this test's calls are counted as, beyond what was counted before."""
    return Numbers(reader)
