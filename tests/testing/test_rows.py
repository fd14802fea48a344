"""Every provider of the gateway's table has a fake with its habits, and cassettes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from compatgw.providers.table import PROVIDERS
from compatgw_testing.fakes.openai import HABITS
from tests.testing.cassettes.corpus.making import ROOT

# Rows whose server answers as that of another row does, under the fakes' name for it.
SAME: Mapping[str, str] = {
    "dashscope": "alibaba",
    "azure-deployments": "azure",
    "azure-anthropic": "anthropic",
    "bedrock-mantle-openai": "bedrock-mantle",
    "bedrock-mantle-anthropic": "anthropic",
    "vertex": "gemini",
    "vertex-anthropic": "anthropic",
}
# Rows that have no chat.
VECTORS = frozenset({"voyage", "jina"})
OWN = frozenset({"anthropic", "bedrock", "gemini", "cohere"})


@pytest.mark.parametrize("row", sorted(PROVIDERS))
def test_a_row_has_its_habits_and_cassettes(row: str) -> None:
    """Its own, or those of the row that it is the same as: what it answers, whole and streamed, and two errors."""
    name = SAME.get(row, row)

    assert name in OWN or name in HABITS
    held = {path.stem for path in (ROOT / name).glob("*.jsonl")}
    said = {"embeddings", "rerank"} if row in VECTORS else {"plain", "stream"}
    assert said | {"error_401", "error_429"} <= held


def test_what_is_listed_is_there() -> None:
    """No row stands in a list for nothing."""
    assert set(SAME) | VECTORS <= set(PROVIDERS)
    assert not {row for row in SAME if row in HABITS}
    assert all("chat" not in HABITS[row].surfaces for row in VECTORS)


# Rows whose address has no blanks to fill in.
KNOWN = sorted(name for name, row in PROVIDERS.items() if name in HABITS and "{" not in row.base_url)


@pytest.mark.parametrize("row", KNOWN)
def test_the_fake_listens_where_the_row_calls(row: str) -> None:
    """The path of the row's base URL is one that the fake has."""
    path = urlsplit(PROVIDERS[row].base_url).path

    assert any(re.fullmatch(pattern, path) for pattern in HABITS[row].paths)
