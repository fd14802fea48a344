"""What an observer is told of a call, and what it may add to it.

    began   when a call is on its way; what it gives back is handed to the rest
    tried   after each attempt at an upstream
    ended   once, when all is settled

No text of a prompt or an answer is among it. An observer that raises is reported in the log and hurts nobody.

What does not live here: any one observer, who calls them (`flow/watching.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """A call that is on its way.

    Attributes:
        id: The request id that the client sees.
        endpoint: `chat`, `embeddings`, ...
        model: As the caller named it.
        stream: It is answered bit by bit.
        at: Seconds since 1970.
        headers: Of the request, names in lower case, without credentials and cookies.
    """

    id: str
    endpoint: str
    model: str
    stream: bool
    at: float
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One attempt.

    Attributes:
        provider: Who was asked. model: For which of its models.
        at: Seconds since 1970 when it began.
        seconds: Until its whole answer, the first content of its stream, or its failure.
        code: Of its failure, "" for none.
        status: The upstream's HTTP status where it refused, None where it gave none.
    """

    provider: str
    model: str
    at: float
    seconds: float
    code: str = ""
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A call that is over.

    Attributes:
        id, endpoint, model, stream: As in `Began`.
        provider: Who answered, "" for nobody. target: By which of its models.
        status: What the client was told; 499 when it left. code: Of a failure, "" for none.
        at: Seconds since 1970 when it began.
        seconds: Until its end. first_token: Until the first content of a stream.
        upstream: Seconds of these that were spent waiting for upstreams, until their first content.
        input, output, cached, reasoning: Tokens.
        estimated: These are estimated.
        cost: None where the price is not known.
        attempts: How often an upstream was asked.
        fallback: Another model than the first of its plan answered.
        cached_answer: The answer was kept, or is that of an identical call.
        byok: The team's own provider key paid.
        team, key: Ids, "" for none.
    """

    id: str
    endpoint: str
    model: str
    provider: str
    target: str
    stream: bool
    status: int
    code: str
    at: float
    seconds: float
    first_token: float | None
    upstream: float
    input: int
    output: int
    cached: int
    reasoning: int
    estimated: bool
    cost: Decimal | None
    attempts: int
    fallback: bool
    cached_answer: bool
    byok: bool
    team: str
    key: str


class Observer(Protocol):
    """Whoever watches calls. Its methods are called in the event loop: they must not block."""

    def began(self, call: Began) -> Any:
        """A call is on its way. What it gives back stands for the call from now on."""
        ...

    def headers(self, token: Any) -> tuple[tuple[str, str], ...]:
        """What is sent along to upstreams, such as `traceparent`."""
        ...

    def tried(self, token: Any, attempt: Tried) -> None:
        """An attempt is over."""
        ...

    def ended(self, token: Any, call: Ended) -> None:
        """The call is over."""
        ...
