"""Reads the packages as syntax trees: files, modules, imports. Nothing is imported or run.

What does not live here: the rules (`imports.py`, `conduct.py`, `shape.py`).
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACKAGES = ("compatgw", "compatgw_testing")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Import:
    """One imported module, as one line of a file asks for it.

    Attributes:
        line: Where.
        module: What, absolute: the submodule itself for `from package import submodule`.
        lazy: True inside a function.
        typing_only: True under `if TYPE_CHECKING:`.
    """

    line: int
    module: str
    lazy: bool
    typing_only: bool

    @property
    def top(self) -> str:
        """The distribution's package: `aiohttp` of `aiohttp.web`."""
        return self.module.partition(".")[0]


@dataclass(frozen=True)
class Source:
    """One file.

    Attributes:
        path: Relative to the project, with slashes.
        text: Its content.
    """

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, self.path)

    @cached_property
    def module(self) -> str:
        """The dotted name that it is imported by."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def package(self) -> str:
        """`compatgw` or `compatgw_testing`."""
        return self.path.partition("/")[0]

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """Folders and stem below the package: `("dialects", "cohere", "stream")`."""
        return tuple(self.path.removesuffix(".py").split("/")[1:])

    def at(self, node: ast.AST | int, sentence: str) -> str:
        """A finding: `path:line: sentence`."""
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return f"{self.path}:{line}: {sentence}"

    def functions(self) -> Iterator[Function]:
        """Every function of the file, methods and inner ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node

    def public_functions(self) -> Iterator[Function]:
        """Functions of the module, and methods of its public classes, that no underscore hides."""
        waiting = [*self.tree.body]
        while waiting:
            node = waiting.pop(0)
            if isinstance(node, Function) and not node.name.startswith("_"):
                yield node
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                waiting.extend(node.body)


@dataclass
class House:
    """The files that are held to the rules together."""

    sources: list[Source]
    modules: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.modules = {source.module for source in self.sources}

    def of(self, package: str) -> Iterator[Source]:
        """The files of one package."""
        return (source for source in self.sources if source.package == package)

    def imports(self, source: Source) -> list[Import]:
        """Everything that `source` imports, in order of appearance."""
        reader = _ImportReader(source, self.modules)
        reader.visit(source.tree)
        return reader.found


def house_on_disk(root: Path) -> House:
    """Both packages as they are."""
    files = sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))
    return House([Source(path.relative_to(root).as_posix(), path.read_text("utf-8")) for path in files])


def house_of(files: Mapping[str, str]) -> House:
    """A house made up for a test: path to content."""
    return House([Source(path, text) for path, text in files.items()])


class _ImportReader(ast.NodeVisitor):
    def __init__(self, source: Source, modules: set[str]) -> None:
        self.found: list[Import] = []
        self._source = source
        self._modules = modules
        self._depth = 0
        self._typing = False

    def visit_FunctionDef(self, node: Function) -> None:
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_If(self, node: ast.If) -> None:
        before = self._typing
        self._typing = before or _asks_for_type_checking(node.test)
        for statement in node.body:
            self.visit(statement)
        self._typing = before
        for statement in node.orelse:
            self.visit(statement)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(node.lineno, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = self._absolute(node)
        for alias in node.names:
            deeper = f"{base}.{alias.name}"
            self._add(node.lineno, deeper if deeper in self._modules else base)

    def visit_Call(self, node: ast.Call) -> None:
        """`import_module("name")` is an import by another name."""
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("import_module", "__import__") and node.args and isinstance(node.args[0], ast.Constant):
            self._add(node.lineno, str(node.args[0].value))
        self.generic_visit(node)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parents = self._source.module.split(".")
        drop = node.level - (1 if self._source.path.endswith("/__init__.py") else 0)
        base = parents[: len(parents) - drop]
        return ".".join([*base, node.module] if node.module else base)

    def _add(self, line: int, module: str) -> None:
        found = Import(line, module, lazy=self._depth > 0, typing_only=self._typing)
        if found not in self.found:
            self.found.append(found)


def _asks_for_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )
