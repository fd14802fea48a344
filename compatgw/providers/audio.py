"""How providers speak and listen differently from OpenAI, by name, for the rows that do.

What does not live here: the rows (`table.py`), what each member means (`dialects/base.py`).
"""

from __future__ import annotations

from dataclasses import replace

from compatgw.dialects.base import AudioQuirks

_LATER = frozenset({"include", "known_speaker_names", "known_speaker_references"})

ELDER = AudioQuirks(
    texts={
        "json": "json",
        "verbose_json": "verbose_json",
        "text": "json",
        "srt": "verbose_json",
        "vtt": "verbose_json",
    },
    drop=frozenset({"instructions", "chunking_strategy"}),
    reject=_LATER | {"stream_format"},
    rename={"sample_rate": "sample_rate"},
    stream=False,
)
"""As OpenAI's elder models: whole transcripts in JSON, and without what OpenAI added later."""

ELDER_WITH_TEXT = replace(ELDER, texts={**ELDER.texts, "text": "text"})
"""The same, and plain text."""

ELDER_COMPRESSED = replace(ELDER, sounds=frozenset({"mp3", "wav"}))
"""The same of transcripts; its raw samples are no 16-bit ones, and other formats it has none."""

LISTENS = AudioQuirks(
    speaks=False,
    translates=False,
    texts={"json": "", "text": ""},
    drop=frozenset({"prompt", "chunking_strategy"}),
    reject=_LATER,
    rename={"diarize": "diarize", "context_bias": "context_bias"},
    brackets=False,
)
"""Transcripts of one form, whole and streamed. Its speech is another protocol."""
