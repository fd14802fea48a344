"""The operations that call models: every one with the shape that validates its requests.

What does not live here: the shapes (`wire/`, `answers.py`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from compatgw.openapi import answers
from compatgw.openapi.headers import LIMITS, RESPONSE
from compatgw.openapi.operation import Answer, Operation, Parameter
from compatgw.wire.audio import SpeechRequest, TranscriptionRequest, TranslationRequest
from compatgw.wire.chat import ChatChunk, ChatCompletion, ChatRequest
from compatgw.wire.completions import CompletionRequest, TextCompletion
from compatgw.wire.embeddings import Embeddings, EmbeddingsRequest
from compatgw.wire.images import EditRequest, ImageRequest, ImagesAnswer
from compatgw.wire.messages import CountRequest, MessagesRequest
from compatgw.wire.moderations import Moderations, ModerationsRequest
from compatgw.wire.rerank import Ranking, RerankRequest
from compatgw.wire.responses import ResponsesRequest

if TYPE_CHECKING:
    from typing import Any

_HEADERS = {**RESPONSE, **LIMITS}
# What a call may fail with: the caller's fault, its limits, and the provider's.
_FAILS = (400, 401, 402, 403, 404, 409, 413, 415, 429, 501, 502, 503, 504)

_call = partial(Operation, method="post", errors=_FAILS, members=True)
_ID = Parameter(name="id", text="Id of the response.", where="path", required=True)


def _given(text: str, json: Any = None, events: Any = None, other: tuple[str, ...] = ()) -> dict[int, Answer]:
    return {200: Answer(text=text, json=json, events=events, other=other, headers=_HEADERS)}


_SOUND = ("audio/mpeg", "audio/wav", "audio/opus", "audio/aac", "audio/flac", "audio/pcm", "application/octet-stream")
_SUBTITLES = ("text/plain", "text/vtt", "application/x-subrip")

OPERATIONS: tuple[Operation, ...] = (
    _call(
        path="/v1/chat/completions",
        id="createChatCompletion",
        tag="Chat",
        text="Answers a conversation, whole or as a stream.",
        body=ChatRequest,
        answers=_given("The answer; with `stream: true` its chunks.", ChatCompletion, ChatChunk),
    ),
    _call(
        path="/v1/responses",
        id="createResponse",
        tag="Responses",
        text="OpenAI's Responses API over every model: whole, as a stream, or in the background.",
        body=ResponsesRequest,
        answers=_given("The response; with `stream: true` its events.", answers.Response, answers.ResponseEvent),
    ),
    Operation(
        method="get",
        path="/v1/responses/{id}",
        id="getResponse",
        tag="Responses",
        text="A response that was kept; with `stream=true` its events.",
        parameters=(
            _ID,
            Parameter(name="stream", text="Its events instead.", kind="boolean"),
            Parameter(name="starting_after", text="Only events behind this number.", kind="integer"),
        ),
        answers=_given("The response.", answers.Response, answers.ResponseEvent),
        errors=(400, 401, 403, 404),
    ),
    Operation(
        method="delete",
        path="/v1/responses/{id}",
        id="deleteResponse",
        tag="Responses",
        text="Forgets a response.",
        parameters=(_ID,),
        answers={200: Answer(text="It is gone.", json=answers.ResponseDeleted)},
        errors=(401, 403, 404),
    ),
    Operation(
        method="get",
        path="/v1/responses/{id}/input_items",
        id="listResponseInputs",
        tag="Responses",
        text="What a response was asked.",
        parameters=(
            _ID,
            Parameter(name="limit", text="Most items, 1 to 100.", kind="integer"),
            Parameter(name="order", text="`asc` or `desc`."),
            Parameter(name="after", text="Only items behind this one."),
        ),
        answers={200: Answer(text="The items.", json=answers.ResponseItems)},
        errors=(400, 401, 403, 404),
    ),
    Operation(
        method="post",
        path="/v1/responses/{id}/cancel",
        id="cancelResponse",
        tag="Responses",
        text="Ends a response that runs in the background.",
        parameters=(_ID,),
        answers={200: Answer(text="The response as it is now.", json=answers.Response)},
        errors=(400, 401, 403, 404),
    ),
    _call(
        path="/v1/messages",
        id="createMessage",
        tag="Messages",
        text="Anthropic's Messages API over every model. The key may also come as `x-api-key`.",
        body=MessagesRequest,
        answers=_given("The message; with `stream: true` its events.", answers.Message, answers.MessageEvent),
        error=answers.MessageError,
    ),
    _call(
        path="/v1/messages/count_tokens",
        id="countMessageTokens",
        tag="Messages",
        text="How many tokens a message has.",
        body=CountRequest,
        answers={200: Answer(text="The number.", json=answers.CountedTokens)},
        error=answers.MessageError,
    ),
    _call(
        path="/v1/completions",
        id="createCompletion",
        tag="Completions",
        text="Goes on with a text.",
        body=CompletionRequest,
        answers=_given("The completion; with `stream: true` its chunks.", TextCompletion, TextCompletion),
    ),
    _call(
        path="/v1/embeddings",
        id="createEmbeddings",
        tag="Embeddings",
        text="Texts as vectors.",
        body=EmbeddingsRequest,
        answers=_given("The vectors, as numbers or base64.", Embeddings),
    ),
    _call(
        path="/v1/rerank",
        id="rerank",
        tag="Embeddings",
        text="Documents in the order in which they fit a query.",
        body=RerankRequest,
        answers=_given("The order, and how well each fits.", Ranking),
    ),
    _call(
        path="/v1/images/generations",
        id="createImage",
        tag="Images",
        text="Makes images.",
        body=ImageRequest,
        answers=_given("The images; with `stream: true` as they are made.", ImagesAnswer, answers.Open),
    ),
    _call(
        path="/v1/images/edits",
        id="editImage",
        tag="Images",
        text="Makes images from images, sent as a form or as JSON.",
        body=EditRequest,
        form=EditRequest,
        files=("image", "mask"),
        answers=_given("The images; with `stream: true` as they are made.", ImagesAnswer, answers.Open),
    ),
    _call(
        path="/v1/audio/speech",
        id="createSpeech",
        tag="Audio",
        text="Speaks a text.",
        body=SpeechRequest,
        answers=_given("Sound, as it comes.", None, answers.Open, _SOUND),
    ),
    _call(
        path="/v1/audio/transcriptions",
        id="createTranscription",
        tag="Audio",
        text="Writes down a recording.",
        form=TranscriptionRequest,
        files=("file",),
        answers=_given("The text.", answers.Transcription, answers.Open, _SUBTITLES),
    ),
    _call(
        path="/v1/audio/translations",
        id="createTranslation",
        tag="Audio",
        text="Writes down a recording in English.",
        form=TranslationRequest,
        files=("file",),
        answers=_given("The text.", answers.Transcription, None, _SUBTITLES),
    ),
    _call(
        path="/v1/moderations",
        id="createModeration",
        tag="Moderations",
        text="Says whether texts or images are harmful.",
        body=ModerationsRequest,
        answers=_given("What was found.", Moderations),
    ),
)
