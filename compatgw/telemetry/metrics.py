"""Numbers for Prometheus: an observer that counts calls, attempts, tokens, money and time.

They are of this gateway in this process, from its beginning on: Prometheus knows that counters begin anew.
Names and buckets of durations are those of OpenTelemetry's conventions for generative AI where it has some, with
`compatgw_` before them. No label holds what a caller wrote: `labels.py` says what becomes of a model's name.

What does not live here: how they are written (`exposition.py`), the route (`web/metrics.py`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from compatgw.telemetry.base import Observer
from compatgw.telemetry.exposition import Counter, Family, Gauge, Histogram, written
from compatgw.telemetry.labels import NONE, OTHER, Codes, Models

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from compatgw.telemetry.base import Began, Ended, Refused, Tried

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
OVERHEAD = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
OK = "ok"
STATES = ("closed", "half_open", "open")
# A histogram has so many lines for each series.
_HISTOGRAMS = 300
# Of a refusal by limits or money, and not by anything else.
_LIMITS = frozenset({"rate_limit_exceeded", "insufficient_balance"})
_BY = ("endpoint", "provider", "model")
_AT = ("provider", "model")


class Metrics(Observer):
    """The numbers of one gateway.

    Args:
        version: Of the package.
        currency: What costs are in.
        started: Seconds since 1970.
        models: Which models have their own names.
    """

    def __init__(self, *, version: str, currency: str, started: float, models: Models) -> None:
        self._models = models
        self._codes = Codes()
        self._currency = currency
        # Gateways may be called from several loops in several threads at once.
        self._lock = threading.Lock()
        self._info = Gauge("compatgw_build_info", "The version that runs.", ("version",))
        self._info.set((version,), 1)
        self._started = Gauge(
            "compatgw_start_time_seconds", "When this gateway was made, in seconds since 1970.", unit="seconds"
        )
        self._started.set((), started)
        self._in_flight = Gauge("compatgw_calls_in_flight", "Calls that are on their way now.", ("endpoint",))
        self._calls = Counter("compatgw_calls", "Calls that are over.", (*_BY, "status", "code"))
        self._refused = Counter(
            "compatgw_requests_refused", "Requests that were refused before they were calls.", ("status", "code")
        )
        self._limits = Counter(
            "compatgw_limits_refused", "Calls that were refused because a limit or a budget was reached.", ("code",)
        )
        self._tokens = Counter("compatgw_tokens", "Tokens of calls, read and written.", (*_BY, "direction"))
        self._cached = Counter("compatgw_cached_input_tokens", "Input tokens that an upstream had cached.", _BY)
        self._reasoning = Counter("compatgw_reasoning_tokens", "Output tokens that were thoughts.", _BY)
        self._cost = Counter("compatgw_cost", "What calls cost, where their price is known.", (*_BY, "currency"))
        self._hits = Counter(
            "compatgw_cache_hits", "Calls whose answer was kept, or is that of an identical call.", ("endpoint",)
        )
        self._attempts = Counter("compatgw_attempts", "Attempts at upstreams.", (*_AT, "code"))
        self._retries = Counter("compatgw_retries", "Attempts that were repeated at the same target.", _BY)
        self._fallbacks = Counter("compatgw_fallbacks", "Calls that another than their first target answered.", _BY)
        self._duration = _histogram("compatgw_call_duration", "How long calls took, to their end.", _BY, SECONDS)
        self._first = _histogram(
            "compatgw_time_to_first_token", "How long streams took until their first content.", _BY, FIRST_TOKEN
        )
        self._overhead = _histogram(
            "compatgw_overhead",
            "How much of a call's time was not spent waiting for upstreams; of a stream's, until its first content.",
            ("endpoint",),
            OVERHEAD,
        )
        self._attempt = _histogram(
            "compatgw_attempt_duration",
            "How long attempts took, to their answer, the first content of their stream, or their failure.",
            _AT,
            SECONDS,
        )

    # --- as an observer -----------------------------------------------------------------------

    def began(self, call: Began) -> None:
        """One more on its way."""
        with self._lock:
            self._in_flight.add((call.endpoint,))

    def tried(self, token: object, mark: object, attempt: Tried) -> None:
        """One more attempt."""
        with self._lock:
            model = self._models.label(attempt.provider, attempt.model, answered=not attempt.code)
            self._attempts.add((attempt.provider, model, self._codes.label(attempt.code) or OK))
            self._attempt.observe((attempt.provider, model), attempt.seconds)

    def ended(self, token: object, call: Ended) -> None:
        """One more call."""
        with self._lock:
            self._ended(call)

    def refused(self, request: Refused) -> None:
        """One more that was none."""
        with self._lock:
            self._refused.add((str(request.status), self._codes.label(request.code)))

    def _ended(self, call: Ended) -> None:
        endpoint = call.endpoint
        model = self._models.label(call.provider, call.target, answered=not call.code)
        place = (endpoint, call.provider or NONE, model)
        self._in_flight.add((endpoint,), -1)
        self._calls.add((*place, str(call.status), self._codes.label(call.code) or OK))
        self._duration.observe(place, call.seconds)
        if call.first_token is not None:
            self._first.observe(place, call.first_token)
        of = call.seconds if call.first_token is None else call.first_token
        self._overhead.observe((endpoint,), max(0.0, of - call.upstream))
        if call.code in _LIMITS:
            self._limits.add((call.code,))
        if call.cached_answer:
            # Somebody else's call had these tokens, and was counted with them.
            self._hits.add((endpoint,))
            return
        for direction, tokens in (("input", call.input), ("output", call.output)):
            if tokens:
                self._tokens.add((*place, direction), tokens)
        for counter, number in (
            (self._cached, call.cached), (self._reasoning, call.reasoning), (self._retries, call.retries),
        ):  # fmt: skip
            if number:
                counter.add(place, number)
        if call.cost:
            self._cost.add((*place, self._currency), call.cost)
        if call.fallback:
            self._fallbacks.add(place)

    # --- as text ------------------------------------------------------------------------------

    def text(self, breakers: Iterable[tuple[str, str, str]] = (), *, openmetrics: bool = False) -> bytes:
        """All numbers as they are now.

        Args:
            breakers: Provider, model and state of each deployment that was called.
            openmetrics: In that format instead of Prometheus' own.
        """
        with self._lock:
            return written([*self._families(), self._breakers(breakers)], openmetrics=openmetrics)

    def _families(self) -> Sequence[Family]:
        return (
            self._info, self._started, self._in_flight, self._calls, self._refused, self._limits, self._tokens,
            self._cached, self._reasoning, self._cost, self._hits, self._attempts, self._retries, self._fallbacks,
            self._duration, self._first, self._overhead, self._attempt,
        )  # fmt: skip

    def _breakers(self, breakers: Iterable[tuple[str, str, str]]) -> Gauge:
        gauge = Gauge("compatgw_breaker_state", "1 for the state that a circuit breaker is in.", (*_AT, "state"))
        for provider, model, state in breakers:
            label = self._models.label(provider, model)
            if label != OTHER:
                for each in STATES:
                    gauge.set((provider, label, each), int(each == state))
        return gauge


def _histogram(name: str, help: str, labels: Sequence[str], bounds: Sequence[float]) -> Histogram:
    return Histogram(f"{name}_seconds", help, labels, bounds=bounds, unit="seconds", most=_HISTOGRAMS)
