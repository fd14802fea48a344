"""What an observer is told of a call, and what it may add to it.

    began     when a call is on its way; what it gives back stands for the call from now on
    trying    to observers that trace, before each attempt at an upstream; what it gives back stands for that attempt
    headers   what the attempt sends along, such as `traceparent`
    tried     after each attempt: its whole answer, the first content of its stream, or its failure
    streamed  to these, too, when a stream that had begun is over
    said      what was asked and answered, to observers that want to hear it, before `ended`
    ended     once, when all is settled
    refused   instead of all that: a request that never became a call

No text of a prompt or an answer is in any of it but `said`. An observer that raises is reported in the log and hurts
nobody.

These records are tuples: they are made for every call, and a frozen dataclass of this size takes eight times as long.

What does not live here: any one observer, who calls them (`flow/watching.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

Lines = tuple[tuple[str, str], ...]
"""Headers."""


class Began(NamedTuple):
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


class Trying(NamedTuple):
    """An attempt that is on its way.

    Attributes:
        endpoint: `chat`, ...; the one of the attempt, not of its call: images are described by a chat.
        provider: Who is asked. model: For which of its models.
        stream: The answer is to come bit by bit.
        at: Seconds since 1970.
        server: Where the provider's API begins.
        options: What was asked of the model in numbers and flags: `temperature`, `max_tokens`, ...
    """

    endpoint: str
    provider: str
    model: str
    stream: bool
    at: float
    server: str
    options: Mapping[str, Any]


class Tried(NamedTuple):
    """One attempt.

    Attributes:
        provider: Who was asked. model: For which of its models.
        at: Seconds since 1970 when it began.
        seconds: Until its whole answer, the first content of its stream, or its failure.
        code: Of its failure, "" for none; `cancelled` when nobody waited for it any more.
        status: The upstream's HTTP status where it refused, None where it gave none.
        live: It goes on: `streamed` tells of its end.
        id: Of the answer, as the upstream calls it. answered: The model that answered, as it says itself.
        finish: Why the model stopped, one reason for each choice.
        input, output: Tokens of a whole answer, where the upstream said so.

    What follows `status` is for observers that trace alone.
    """

    provider: str
    model: str
    at: float
    seconds: float
    code: str = ""
    status: int | None = None
    live: bool = False
    id: str = ""
    answered: str = ""
    finish: tuple[str, ...] = ()
    input: int | None = None
    output: int | None = None


class Streamed(NamedTuple):
    """The end of a stream that had begun.

    Attributes:
        at: Seconds since 1970.
        code: Of its failure, "" for none; `cancelled` when nobody read on.
    """

    at: float
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was asked and answered; only for observers with `content`.

    Attributes:
        messages: Of the request, in OpenAI's shape, with those of prompt templates.
        choices: Of the answer, likewise; none where it broke off.
    """

    messages: Sequence[Any] = field(repr=False)
    choices: Sequence[Any] = field(repr=False)


class Ended(NamedTuple):
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
        attempts: How often an upstream was asked. retries: How often the same one again.
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
    retries: int
    fallback: bool
    cached_answer: bool
    byok: bool
    team: str
    key: str


class Refused(NamedTuple):
    """A request that was refused before it was a call: who sent it, its body, or its path was wrong.

    Attributes:
        status: What the client was told. code: The same.
    """

    status: int
    code: str


class Observer:
    """Whoever watches calls. Its methods are called in the event loop: they must not block. Here they do nothing.

    Attributes:
        traces: It is told of attempts when they begin, and of the ends of streams, too.
        content: It wants to hear what is asked and answered, too.

    Neither where `began` gave back None.
    """

    traces: bool = False
    content: bool = False

    def began(self, call: Began) -> Any:
        """A call is on its way. What it gives back stands for the call from now on."""

    def trying(self, token: Any, attempt: Trying) -> Any:
        """An attempt begins. What it gives back stands for the attempt from now on."""

    def headers(self, token: Any, mark: Any) -> Lines:
        """What the attempt sends along to its upstream."""
        return ()

    def tried(self, token: Any, mark: Any, attempt: Tried) -> None:
        """An attempt has an answer, or the first content of one, or failed."""

    def streamed(self, token: Any, mark: Any, stream: Streamed) -> None:
        """An attempt that was told as `live` is over."""

    def said(self, token: Any, said: Said) -> None:
        """What was asked and answered."""

    def ended(self, token: Any, call: Ended) -> None:
        """The call is over."""

    def refused(self, request: Refused) -> None:
        """A request never became a call."""
