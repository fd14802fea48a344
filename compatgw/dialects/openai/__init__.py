"""The OpenAI dialect: `POST /chat/completions` under a base such as `https://api.openai.com/v1`.

One codec for OpenAI and for every server that speaks its protocol more or less; how much
less is said by a provider's `Quirks`, and a stream or answer is mended whatever they say.

What does not live here: the rows (`providers/table.py`), Azure's older deployment addresses.
"""

from __future__ import annotations

from compatgw.dialects import failure
from compatgw.dialects.base import ChatCodec, Dialect
from compatgw.dialects.openai.audio import SPEECH, TRANSCRIPTIONS, TRANSLATIONS
from compatgw.dialects.openai.completions import COMPLETIONS
from compatgw.dialects.openai.embeddings import EMBEDDINGS
from compatgw.dialects.openai.images import EDITS, IMAGES
from compatgw.dialects.openai.moderations import MODERATIONS
from compatgw.dialects.openai.request import encode
from compatgw.dialects.openai.rerank import RERANK
from compatgw.dialects.openai.response import decode
from compatgw.dialects.openai.responses import RESPONSES
from compatgw.dialects.openai.stream import OpenAIStream

DIALECT = Dialect(
    "openai",
    chat=ChatCodec(encode=encode, decode=decode, stream=OpenAIStream, error=failure.from_body),
    embeddings=EMBEDDINGS,
    images=IMAGES,
    edits=EDITS,
    speech=SPEECH,
    transcriptions=TRANSCRIPTIONS,
    translations=TRANSLATIONS,
    moderations=MODERATIONS,
    rerank=RERANK,
    native={"responses": RESPONSES, "completions": COMPLETIONS},
)

__all__ = ["DIALECT"]
