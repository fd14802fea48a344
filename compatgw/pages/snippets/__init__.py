"""Snippets: for every task, with every tool, with this mount's address and the chosen models in their places.

`<<base>>` in a text is the API's address; `<<chat>>`, `<<embedding>>` and `<<image>>` are models, each as the text's
language wants it between its quotes.

What does not live here: the texts (one file for each tool), where they are shown (`pages/docs.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Literal, NamedTuple

import orjson
from markupsafe import Markup, escape

from compatgw.pages.snippets import aisdk, curl, langchain, llamaindex, node, python

Spelling = Literal["json", "shell", "plain"]

TASKS = ("chat", "stream", "tools", "image", "pdf", "embeddings", "images")
"""What can be done, and the name of a constant in each tool's file."""


class Tool(NamedTuple):
    """A way to call.

    Attributes:
        name: For people. language: Of its snippets. spelling: How a model's name stands in them.
        install: What it takes, for a shell; "" for nothing.
        texts: By task.
    """

    name: str
    language: str
    spelling: Spelling
    install: str
    texts: Mapping[str, str]


def _texts(module: ModuleType) -> Mapping[str, str]:
    return MappingProxyType({task: getattr(module, task.upper()) for task in TASKS})


TOOLS: Mapping[str, Tool] = MappingProxyType(
    {
        "curl": Tool("curl", "shell", "shell", "", _texts(curl)),
        "python": Tool("Python", "python", "json", "pip install openai", _texts(python)),
        "node": Tool("Node", "javascript", "json", "npm install openai", _texts(node)),
        "langchain": Tool("LangChain", "python", "json", "pip install langchain-openai", _texts(langchain)),
        "aisdk": Tool(
            "Vercel AI SDK", "javascript", "json", "npm install ai @ai-sdk/openai-compatible zod", _texts(aisdk)
        ),
        "llamaindex": Tool(
            "LlamaIndex",
            "python",
            "json",
            "pip install llama-index-llms-openai-like llama-index-embeddings-openai-like",
            _texts(llamaindex),
        ),
    }
)

_PLACE = re.compile(r"<<(\w+)>>")


def spelled(name: str, spelling: Spelling) -> str:
    """`name` as it stands between the quotes of a language."""
    if spelling == "plain":
        return name
    inside = orjson.dumps(name.encode("utf-8", "replace").decode()).decode()[1:-1]
    return inside.replace("'", "'\\''") if spelling == "shell" else inside


def filled(text: str, values: Mapping[str, str], spelling: Spelling) -> str:
    """A snippet as it can be run."""
    return _PLACE.sub(lambda place: spelled(values[place[1]], spelling), text)


def shown(text: str, values: Mapping[str, str], spelling: Spelling) -> Markup:
    """A snippet for a page: escaped, and with an element around each model, which the script writes anew."""
    out: list[str] = []
    last = 0
    for place in _PLACE.finditer(text):
        kind, value = place[1], str(escape(spelled(values[place[1]], spelling)))
        out.append(str(escape(text[last : place.start()])))
        if kind in ("base", "home"):
            out.append(value)
        else:
            out.append(f'<span data-model="{kind}" data-spelled="{spelling}">{value}</span>')
        last = place.end()
    out.append(str(escape(text[last:])))
    return Markup("".join(out))  # noqa: S704 - every piece is escaped above
