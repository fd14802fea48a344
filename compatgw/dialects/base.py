"""What a dialect is: a name and its codecs; and the values that go in and out of a codec.

A codec gathers four functions of one endpoint in one protocol:

    encode(request, target)      hub request      -> Outgoing (bytes to send, what was left out)
    decode(body, context)        whole answer     -> Answer (chat) or Result (every other endpoint)
    stream(context)              a new decoder for one stream: feed(bytes), finish(); Pieces or Parts
    error(status, headers, body) a refusal        -> UpstreamFailure

Two kinds of codecs: of the hub's own requests (`chat`, `embeddings`, ...), which every client's surface is
translated to; and native ones, which take a client's request as it came to an upstream of the very same protocol.

All of them are pure and keep no state between calls; a decoder lives as long as its stream.
Framing and content type are fields of the codec, never an `if` elsewhere.

What does not live here: any one protocol, addresses and keys (`providers/`), sockets (`upstream/`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from compatgw.errors import UnsupportedParameter
from compatgw.wire.chat import ChatRequest

if TYPE_CHECKING:
    from compatgw.errors import UpstreamFailure
    from compatgw.wire.chat import ChatChunk, ChatCompletion, Usage
    from compatgw.wire.multipart import Form
    from compatgw.wire.native import Native

Policy = Literal["hints", "drop", "reject"]
"""What happens to a member that an upstream cannot carry (`unsupported` in the configuration)."""

EMPTY: Mapping[str, Any] = MappingProxyType({})


def _empty() -> Mapping[str, Any]:
    return EMPTY


@dataclass(frozen=True, slots=True)
class ImageQuirks:
    """How an upstream makes images differently from OpenAI, as data. A configuration replaces all of it.

    Attributes:
        size: How it is told a size: as `size`, as `pixels` (`width` and `height`), or as a `ratio` (`aspect_ratio`,
            the nearest of `ratios`, and `resolution`, 1k or 2k).
        ratios: Aspect ratios that it has, such as `16:9`.
        formats: Values of `response_format` that are served, each with what is sent: "" where nothing is, as that is
            what it gives anyway. Empty: both, as they are.
        qualities: `quality` to its own words; other words are sent as they are.
        drop: Members that it refuses, and that only tune an image; left out and reported.
        rename: Our name to its, for members that only differ in name.
        stream: Streams images, where the model does.
        edits: How images to be edited are sent: in a `form`, or as data URLs in `json`. `none`: it edits nothing.
        chat: It makes images in chat alone, one at a time; `edits` is `json` then.
    """

    size: Literal["size", "pixels", "ratio"] = "size"
    ratios: tuple[str, ...] = ()
    formats: Mapping[str, str] = field(default_factory=_empty)
    qualities: Mapping[str, str] = field(default_factory=_empty)
    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=_empty)
    stream: bool = True
    edits: Literal["form", "json", "none"] = "form"
    chat: bool = False


@dataclass(frozen=True, slots=True)
class EmbeddingQuirks:
    """How an upstream makes embeddings differently from OpenAI, as data. A configuration replaces all of it.

    Attributes:
        form: In which form vectors can be had: `any`, as asked for; `float`, numbers alone; `int8`, base64 of whole
            numbers of one byte alone.
        tokens: Token ids are taken in place of text.
        most: Inputs that one call takes, where they are fewer than the protocol's.
        rename: Our name to its, for members that only differ in name. A name to itself: a member that it has beside
            OpenAI's.
        purposes: Its word for each purpose of embeddings (`dialects/purposes.py`), sent as `input_type`; under "" the
            one for when nobody said. Empty: what the caller said is sent as it is.
        path: Where they are, under the base URL.
        batch: Several texts go in one call, where the protocol has another for one alone.
    """

    form: Literal["any", "float", "int8"] = "any"
    tokens: bool = True
    most: int | None = None
    rename: Mapping[str, str] = field(default_factory=_empty)
    purposes: Mapping[str, str] = field(default_factory=_empty)
    path: str = "/embeddings"
    batch: bool = True


@dataclass(frozen=True, slots=True)
class AudioQuirks:
    """How an upstream speaks and listens differently from OpenAI, as data. A configuration replaces all of it.

    Attributes:
        speaks, hears, translates: It has the endpoint for speech, for transcriptions, for translations.
        sounds: Values of `response_format` of speech that are served. Empty: all.
        texts: Values of `response_format` of transcriptions and translations that are served, each with what is
            sent: "" where nothing is, as that is what it gives anyway. Empty: all, as they are.
        drop: Members that it refuses, and that only tune an answer; left out and reported.
        reject: Members that change what the caller gets and are not served.
        rename: Our name to its, for members that only differ in name. A name to itself: a member that it has beside
            OpenAI's.
        stream: Streams transcriptions, where the model does.
        brackets: Takes the entries of a list in a form as `NAME[]`; else as `NAME`.
    """

    speaks: bool = True
    hears: bool = True
    translates: bool = True
    sounds: frozenset[str] = frozenset()
    texts: Mapping[str, str] = field(default_factory=_empty)
    drop: frozenset[str] = frozenset()
    reject: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=_empty)
    stream: bool = True
    brackets: bool = True


@dataclass(frozen=True, slots=True)
class Quirks:
    """How an upstream differs from its protocol's reference; a closed list, as data.

    Attributes:
        max_tokens: The member that limits the answer: `max_tokens`, `max_completion_tokens`,
            or `both` when either is fine.
        drop: Hints that this upstream refuses; left out and reported. Beside top-level members:
            `messages[].name`, `messages[].refusal`, and `cache_control` wherever it stands.
        reject: Members that change what the caller gets and are not served here.
        rename: Our name to theirs, for members that only differ in name. A name to itself: a
            member that a `known_only` upstream has beside OpenAI's. `tool_choice.WORD` maps a word.
        known_only: Unknown members are an error upstream, so only OpenAI's own are sent.
        developer: The `developer` role is understood; else it becomes `system`.
        reasoning_back: Which assistant turns carry their reasoning back: `never`,
            `tool_turns` (required beside tool calls), `always`, or `details`
            (OpenRouter's `reasoning_details`, unchanged).
        reasoning_field: The member in which reasoning is sent back.
        tool_ids: Which tool call ids are taken: `any`, `40` (at most 40 characters) or
            `mistral` (exactly 9 letters or digits).
        tool_names: Tool messages carry the tool's name as well.
        stream_options: `stream_options` is understood; else it is not sent.
        alternate: Neighbouring messages of one role are merged.
        bridge: What an assistant is made to have said between a tool's result and the user's next words, for upstreams
            that refuse these side by side; instructions that stand behind an assistant or a tool go to the user's
            nearest words, too. Empty: the history stays as it is.
        content_null: An assistant's `content: null` is understood; else it becomes "".
        tools: Tools are served at all.
        json_schema: `response_format` of type `json_schema` is served.
        json_object: `response_format` of type `json_object` is served.
        image_urls: https image URLs are fetched by the upstream.
        n: Several choices in one call are served.
        efforts: `reasoning_effort` values that are served, each with what is sent; empty: all, as
            is. `member=value` sends another member instead, such as `thinking.type=disabled`.
        tool_choice: `tool_choice` values that are served; empty: all.
        excludes_reasoning: `completion_tokens` leaves reasoning out, so it is added.
        completions: Globs of models that the legacy `/completions` serves.
        responses: `/responses` is served.
        images: How it makes images.
        audio: How it speaks and listens.
        embeddings: How it makes embeddings.
        moderated_images: Moderations judge images, too.
        lacks: Endpoints of the protocol that it does not have: `embeddings`, `rerank`, `moderations`, `images`.
    """

    max_tokens: Literal["max_tokens", "max_completion_tokens", "both"] = "both"
    drop: frozenset[str] = frozenset()
    reject: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=_empty)
    known_only: bool = False
    developer: bool = False
    reasoning_back: Literal["never", "tool_turns", "always", "details"] = "never"
    reasoning_field: str = "reasoning_content"
    tool_ids: Literal["any", "40", "mistral"] = "any"
    tool_names: bool = False
    stream_options: bool = True
    alternate: bool = False
    bridge: str = ""
    content_null: bool = True
    tools: bool = True
    json_schema: bool = True
    json_object: bool = True
    image_urls: bool = True
    n: bool = True
    efforts: Mapping[str, str] = field(default_factory=_empty)
    tool_choice: frozenset[str] = frozenset()
    excludes_reasoning: bool = False
    completions: frozenset[str] = frozenset()
    responses: bool = False
    images: ImageQuirks = field(default_factory=ImageQuirks)
    audio: AudioQuirks = field(default_factory=AudioQuirks)
    embeddings: EmbeddingQuirks = field(default_factory=EmbeddingQuirks)
    moderated_images: bool = True
    lacks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Target:
    """Where one attempt goes, as far as a codec needs to know.

    Attributes:
        provider: The provider's name, for messages only; no code compares it.
        model: The upstream's own id of the model.
        quirks: How this upstream differs.
        max_output: Most tokens that the model writes, None when not known.
        traits: Overrides of what a dialect's own table says of the model, from configuration.
        unsupported: What to do with members that cannot be carried.
    """

    provider: str
    model: str
    quirks: Quirks = field(default_factory=Quirks)
    max_output: int | None = None
    traits: Mapping[str, Any] = field(default_factory=_empty)
    unsupported: Policy = "hints"


class Outgoing(NamedTuple):
    """A request ready to be signed and sent. Printable: it never holds a credential.

    Attributes:
        path: Appended to the provider's base URL, with a query if the protocol wants one.
        body: Exact bytes.
        headers: Of the protocol, without authentication and Content-Type (JSON, or that of a form).
        dropped: Members left out, for `X-Dropped-Params`.
        clamped: Members changed to fit, with what was sent, for `X-Clamped-Params`.
        memo: What the same codec needs to read the answer (maps of renamed tools or ids).
        method: HTTP method.
        form: Sent instead of `body`, which is empty then.
    """

    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()
    clamped: tuple[tuple[str, str], ...] = ()
    memo: Mapping[str, Any] = EMPTY
    method: str = "POST"
    form: Form | None = None


class Context(NamedTuple):
    """What a decoder may know of the call it belongs to.

    Attributes:
        target: Where the answer comes from.
        id: `id` of the answer when the upstream gives none.
        created: `created` of the answer when the upstream gives none, seconds since 1970.
        memo: `Outgoing.memo` of the request.
    """

    target: Target
    id: str
    created: int
    memo: Mapping[str, Any] = EMPTY


class Answer(NamedTuple):
    """A whole answer of a chat model.

    Attributes:
        completion: The answer, as a hub completion.
        raw: The upstream's own bytes when they are that very completion and need no change at all.
        native: The upstream's own bytes when the client speaks its protocol, which is not the hub's.
    """

    completion: ChatCompletion
    raw: bytes | None = None
    native: bytes | None = None


class Piece(NamedTuple):
    """A chunk of a streamed answer; `raw` as in `Answer` (JSON without framing).

    `native` holds whole frames for a client that speaks the upstream's protocol; such a piece may be a chunk
    with nothing in it.
    """

    chunk: ChatChunk
    raw: bytes | None = None
    native: bytes | None = None


class Result(NamedTuple):
    """A whole answer of any other endpoint.

    Attributes:
        body: As the client gets it, where it is JSON.
        usage: What it came to, None when nobody says.
        data: As the client gets it, where it is not JSON, or is JSON that needs no change.
        type: Content type of `data`.
        images: Images that were made.
    """

    body: Mapping[str, Any]
    usage: Usage | None = None
    data: bytes | None = None
    type: str = "application/json"
    images: int = 0


class Part(NamedTuple):
    """Bytes of any other endpoint's answer that comes bit by bit: whole frames of a stream, or a bit of a sound.

    Attributes:
        data: As the client gets them.
        usage: What the whole answer came to, on the part that says so.
        images: Images that were completed with it.
    """

    data: bytes
    usage: Usage | None = None
    images: int = 0


class StreamDecoder(Protocol):
    """Turns one upstream stream into hub chunks.

    For all decoders hold: bytes may be cut anywhere; one `id`, `created` and `model`; the
    role comes first and once; tool indexes count from 0 by first appearance; one finish
    reason a choice; usage at most once, last, in a chunk without choices.
    """

    @property
    def done(self) -> bool:
        """True once the protocol's own end was read: nothing more needs to be received."""
        ...

    def feed(self, data: bytes) -> list[Any]:
        """Chunks that `data` completes.

        Raises:
            UpstreamFailure: The stream carries an error, or bytes that are not the protocol.
        """
        ...

    def finish(self) -> list[Any]:
        """The last chunks, when the upstream has closed the stream.

        Raises:
            StreamInterrupted: The stream ended before its protocol allows it.
        """
        ...


Asked = TypeVar("Asked", contravariant=True)
Whole = TypeVar("Whole", covariant=True)


def always(quirks: Quirks) -> bool:
    """Every upstream of the dialect has the endpoint."""
    return True


def whatever(native: Native, target: Target) -> bool:
    """Every request can go to every target."""
    return True


def never(quirks: Quirks) -> bool:
    """No upstream of the dialect."""
    return False


def unstreamed(context: Context) -> StreamDecoder:
    """The stream of an endpoint that has none: whoever asks for it has not read the request."""
    raise RuntimeError(f"{context.target.provider} was asked for a stream where there is none")


@dataclass(frozen=True, slots=True)
class Codec(Generic[Asked, Whole]):
    """One endpoint in one protocol.

    Attributes:
        encode, decode, error: As above.
        stream: A new decoder for one stream.
        stream_type: Content type of its streams; "" where any will do.
        n: One call can give several choices.
        serves: Whether an upstream of the dialect has the endpoint at all, where its quirks tell.
        takes: Whether this request can go to this target by a native codec; else it is translated.
        bare: A native request without anything that a model signed; None: it is translated then.
        inlines: Whether it writes files into JSON, and so needs their bytes in memory.
        most: Inputs (texts, documents) that one call takes; None: any number.
    """

    encode: Callable[[Asked, Target], Outgoing]
    decode: Callable[[bytes, Context], Whole]
    error: Callable[[int, Mapping[str, str], bytes, Target], UpstreamFailure]
    stream: Callable[[Context], StreamDecoder] = unstreamed
    stream_type: str = "text/event-stream"
    n: bool = True
    serves: Callable[[Quirks], bool] = always
    takes: Callable[[Native, Target], bool] = whatever
    bare: Callable[[Native], Native] | None = None
    inlines: Callable[[Quirks], bool] = never
    most: int | None = None


if TYPE_CHECKING:
    # Of endpoints that are not chat, and of native requests.
    MediaCodec = Codec[Any, Result]
    NativeCodec = Codec[Native, Answer]


class ChatCodec(Codec[ChatRequest, Answer]):
    """Chat completions in one protocol."""


def _no_natives() -> Mapping[str, NativeCodec]:
    return MappingProxyType({})


def images_only(kind: str, url: str, target: Target) -> bool:
    """Links of images are fetched upstream where quirks do not say otherwise; links of files are not."""
    return kind == "image" and target.quirks.image_urls


@dataclass(frozen=True, slots=True)
class Dialect:
    """A wire protocol that upstreams speak. An absent codec is an endpoint it does not have.

    Attributes:
        name: What configurations call it.
        chat, completions, embeddings, images, edits, speech, transcriptions, translations, moderations, rerank:
            Codecs of the hub's requests.
        native: Codecs of surfaces that are this very protocol, by the surface's name: `messages`, `responses`.
        fetches: Whether its upstreams get by themselves what a link in a message leads to: of an `image` or a
            `file`, the link, and the target. What they do not get is fetched for them.
        signs: `format` of the entries in `reasoning_details` that its models sign and take back, "" for none.
    """

    name: str
    chat: ChatCodec | None = None
    completions: MediaCodec | None = None
    embeddings: MediaCodec | None = None
    images: MediaCodec | None = None
    edits: MediaCodec | None = None
    speech: MediaCodec | None = None
    transcriptions: MediaCodec | None = None
    translations: MediaCodec | None = None
    moderations: MediaCodec | None = None
    rerank: MediaCodec | None = None
    native: Mapping[str, NativeCodec] = field(default_factory=_no_natives)
    fetches: Callable[[str, str, Target], bool] = images_only
    signs: str = ""


NEUTRAL: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "frequency_penalty": (0,),
        "presence_penalty": (0,),
        "logit_bias": ({},),
        "logprobs": (False,),
        "top_logprobs": (0,),
        "metadata": ({},),
        "modalities": (["text"], []),
        "n": (1,),
        "parallel_tool_calls": (True,),
        "response_format": ({"type": "text"},),
        "service_tier": ("auto",),
        "store": (False,),
        "stream_options": ({},),
        "verbosity": ("medium",),
    }
)
"""Values that mean the same as leaving the member out, so nobody needs to hear that it was."""


class Leftovers:
    """Collects what one encoding leaves out, under the policy of its target.

    Args:
        target: Names the model and the provider in messages, and carries the policy.
    """

    __slots__ = ("_target", "clamped", "dropped")

    def __init__(self, target: Target) -> None:
        self._target = target
        self.dropped: list[str] = []
        self.clamped: list[tuple[str, str]] = []

    def hint(self, name: str, value: Any) -> None:
        """`name` is left out; it only tunes the answer.

        Raises:
            UnsupportedParameter: The policy is `reject` and `value` is not neutral.
        """
        if value is None or value in NEUTRAL.get(name, ()):
            return
        if self._target.unsupported == "reject":
            raise self.refusal(name)
        if name not in self.dropped:
            self.dropped.append(name)

    def semantic(self, name: str, value: Any, param: str | None = None, why: str = "") -> None:
        """`name` cannot be carried although it changes what the caller gets.

        Args:
            name: The top-level member, as `X-Dropped-Params` names it.
            value: Its value: a neutral one passes in silence.
            param: Path for the error, `name` by default.
            why: A sentence that says what to do instead.

        Raises:
            UnsupportedParameter: The policy is not `drop` and `value` is not neutral.
        """
        if value is None or value in NEUTRAL.get(name, ()):
            return
        if self._target.unsupported != "drop":
            raise self.refusal(param or name, why)
        if name not in self.dropped:
            self.dropped.append(name)

    def refusal(self, param: str, why: str = "") -> UnsupportedParameter:
        """The error for a member that cannot be carried under any policy (to be raised)."""
        text = f"'{param}' is not supported by model '{self._target.model}' at {self._target.provider}."
        return UnsupportedParameter(f"{text} {why or 'Leave it out, or choose another model.'}", param=param)

    def clamp(self, name: str, sent: object) -> None:
        """`name` was changed to `sent` so that the upstream takes it."""
        self.clamped.append((name, str(sent)))
