"""Takes single rules out of a module while it runs, so that a test can prove that each rule is tested.

A mutant is a module with one statement missing: a `raise`, or the `yield` of a complaint. It is
compiled from the source with `pass` in its place, and its code is put into the living function,
so that whoever imported that function has it too. What does not live here: any dialect's rules
or cases.
"""

import ast
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Literal, TypeVar

Kind = Literal["raise", "yield"]
Case = TypeVar("Case")


@dataclass(frozen=True)
class Mutant:
    """A module without one of its statements.

    Attributes:
        module: The module.
        line: Where the statement begins.
        text: The statement, on one line.
        function: Qualified name of the outermost function that holds it.
        code: That function's code without the statement.
    """

    module: ModuleType = field(repr=False)
    line: int
    text: str
    function: str
    code: CodeType = field(repr=False, compare=False)

    @contextmanager
    def apply(self) -> Iterator[None]:
        """The rule does not hold inside; afterwards it does again."""
        function = _living(self.module, self.function)
        kept = function.__code__
        function.__code__ = self.code
        try:
            yield
        finally:
            function.__code__ = kept

    def __str__(self) -> str:
        name = self.module.__name__.rpartition("compatgw_testing.")[2]
        return f"{name}:{self.line} {self.function}: {self.text[:100]}"


def mutants(module: ModuleType, *kinds: Kind) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines.

    Args:
        module: An imported module whose source is at hand.
        kinds: Which statements are taken out, one at a time. Default: `raise`.
    """
    wanted: tuple[Kind, ...] = kinds or ("raise",)
    path = inspect.getsourcefile(module)
    assert path is not None, f"{module.__name__} has no source"
    source = Path(path).read_text(encoding="utf-8")
    count = sum(_is(node, wanted) for node in ast.walk(ast.parse(source)))
    found = []
    for number in range(count):
        tree = ast.parse(source)
        surgeon = _Surgeon(number, wanted)
        surgeon.visit(tree)
        if surgeon.taken is None or not surgeon.function:
            continue  # a statement of the module itself: importing it would tell
        whole = compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
        code = next(one for one in _codes(whole) if one.co_qualname == surgeon.function)
        text = " ".join(ast.unparse(surgeon.taken).split())
        found.append(Mutant(module, surgeon.taken.lineno, text, surgeon.function, code))
    return sorted(found, key=lambda one: one.line)


async def each_is_needed(found: Sequence[Mutant], run_cases: Callable[[], Awaitable[bool]]) -> None:
    """There are mutants, and under none of them every case still holds: that would be a rule that no case tests.

    Args:
        found: The mutants.
        run_cases: Whether every case holds; see `all_hold`.
    """
    assert await run_cases(), "the cases have to hold before a rule is taken out"
    survivors = []
    for mutant in found:
        with mutant.apply():
            if await run_cases():
                survivors.append(str(mutant))

    print(f"{len(found)} rules taken out, {len(survivors)} survived")
    assert survivors == []
    assert found


async def all_hold(cases: Mapping[str, Case], check: Callable[[Case], Awaitable[object]]) -> bool:
    """Whether `check` raises for none of the cases; stops at the first for which it does."""
    for case in cases.values():
        try:
            await check(case)
        except Exception:  # noqa: BLE001 - a case may break in any way, all of them show the rule is tested
            return False
    return True


class _Surgeon(ast.NodeTransformer):
    """Replaces the statement of this number by `pass`."""

    def __init__(self, number: int, kinds: tuple[Kind, ...]) -> None:
        self._left = number
        self._kinds = kinds
        self._inside: list[tuple[str, bool]] = []
        self.taken: ast.stmt | None = None
        self.function = ""

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.stmt) and _is(node, self._kinds):
            self._left -= 1
            if self._left == -1:
                self.taken = node
                self.function = self._outermost()
                return ast.copy_location(ast.Pass(), node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._inside.append((node.name, not isinstance(node, ast.ClassDef)))
            self.generic_visit(node)
            self._inside.pop()
            return node
        return self.generic_visit(node)

    def _outermost(self) -> str:
        names: list[str] = []
        for name, is_function in self._inside:
            names.append(name)
            if is_function:
                return ".".join(names)
        return ""


def _is(node: ast.AST, kinds: tuple[Kind, ...]) -> bool:
    if isinstance(node, ast.Raise):
        return "raise" in kinds
    return "yield" in kinds and isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _codes(one)


def _living(module: ModuleType, name: str) -> FunctionType:
    found: object = module
    for part in name.split("."):
        found = inspect.getattr_static(found, part)
    found = getattr(found, "__func__", found)
    if isinstance(found, property):
        found = found.fget
    while hasattr(found, "__wrapped__"):
        found = found.__wrapped__
    assert isinstance(found, FunctionType), f"{module.__name__}.{name} is no function"
    return found
