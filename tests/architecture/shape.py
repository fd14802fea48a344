"""Sizes, names and docstrings.

What does not live here: what the code does (`conduct.py`).
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.architecture.source import House, Source

FILE_LINES = 600
# Translations of large protocols, which read better in one piece.
LARGE_FILE_LINES = 700
FUNCTION_LINES = 60
NO_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "manager"})


def long_files(house: House) -> Iterator[str]:
    """Files over the limit."""
    for source in house.sources:
        large = source.parts[0] == "dialects" or source.parts[:2] == ("surfaces", "responses")
        limit = LARGE_FILE_LINES if large and source.package == "compatgw" else FILE_LINES
        lines = source.text.count("\n")
        if lines > limit:
            yield source.at(lines, f"The file has {lines} lines, the limit is {limit}. Split it by what it does.")


def long_functions(house: House) -> Iterator[str]:
    """Functions over the limit, from `def` to the last line."""
    for source in house.sources:
        for function in source.functions():
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LINES:
                yield source.at(
                    function,
                    f"{function.name} has {lines} lines, the limit is {FUNCTION_LINES}. Give its steps names.",
                )


def names_that_say_nothing(house: House) -> Iterator[str]:
    """Files and folders called utils, helpers, common, misc or manager."""
    for source in house.sources:
        if any(word in NO_NAMES for part in source.parts for word in part.lower().split("_")):
            yield source.at(1, "The name says nothing. Call the file after what it does.")


def missing_docstrings(house: House) -> Iterator[str]:
    """Modules, and public classes, functions and methods, without a docstring."""
    for source in house.sources:
        if ast.get_docstring(source.tree) is None:
            yield source.at(1, "The file does not say what lives here and what does not. Open it with a docstring.")
        yield from _undocumented(source, source.tree.body, "")


def _undocumented(source: Source, body: list[ast.stmt], owner: str) -> Iterator[str]:
    for node in body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or node.name.startswith("_"):
            continue
        if _is_said_elsewhere(node):
            continue
        if ast.get_docstring(node) is None:
            yield source.at(node, f"{owner}{node.name} is public and has no docstring. Say what it is or does.")
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(source, node.body, f"{node.name}.")


def _is_said_elsewhere(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Overloads, setters and overrides: their docstring stands at what they belong to."""
    words = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(words & {"overload", "setter", "deleter", "override"})
