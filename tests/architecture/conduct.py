"""What code may do: purity of the pure folders, no state in modules, no provider's name in a decision.

What does not live here: imports between the packages' own files (`imports.py`).
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.architecture.imports import LISTS_MEMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.architecture.source import Function, House, Source

PURE = ("wire", "dialects", "surfaces", "guardrails", "policy")

# All that a pure file may import: it computes, and has no way to reach a clock, a file or a socket.
PURE_IMPORTS = frozenset(
    {
        "__future__", "abc", "annotated_types", "array", "base64", "binascii", "bisect", "collections", "contextlib",
        "copy", "dataclasses", "datetime", "decimal", "difflib", "email.utils", "enum", "fnmatch", "fractions",
        "functools", "hashlib", "heapq", "hmac", "html", "ipaddress", "itertools", "jsonschema", "math", "mimetypes",
        "numbers", "operator", "orjson", "phonenumbers", "pydantic", "pydantic_core",
        "python_multipart", "re", "referencing", "statistics", "stdnum",
        "string", "struct", "textwrap", "types", "typing", "typing_extensions", "unicodedata", "urllib.parse",
        "weakref", "zlib",
    }
)  # fmt: skip
IMPURE_BUILTINS = frozenset({"open", "print", "input", "exec", "eval", "breakpoint"})
# Doors to the clock in modules that are pure otherwise.
CLOCK_DOORS = frozenset({"now", "utcnow", "today", "localtime", "formatdate", "make_msgid"})

MUTABLE_MAKERS = frozenset(
    {"list", "dict", "set", "bytearray", "deque", "defaultdict", "OrderedDict", "Counter", "WeakKeyDictionary",
     "WeakValueDictionary", "WeakSet"}
)  # fmt: skip
MUTATORS = frozenset(
    {"append", "appendleft", "extend", "insert", "add", "update", "pop", "popleft", "popitem", "clear", "remove",
     "discard", "setdefault", "sort", "reverse", "__setitem__"}
)  # fmt: skip
# Libraries whose objects are bound to an event loop, a thread or a connection.
LIVE_LIBRARIES = frozenset({"asyncio", "threading", "aiohttp", "httpx", "httpx2", "anyio", "redis", "sqlalchemy"})

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
TEXT_TESTS = frozenset({"startswith", "endswith"})


def asynchronous_pure_code(house: House) -> Iterator[str]:
    """`async` and `await` in the pure folders."""
    kinds = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
    for source in _pure(house):
        for node in ast.walk(source.tree):
            if isinstance(node, kinds) or (isinstance(node, ast.comprehension) and node.is_async):
                yield source.at(node, "A pure file waits for nothing. Do the waiting in flow/ and hand the value in.")


def impure_imports(house: House) -> Iterator[str]:
    """Imports of a pure file that are not on the list of pure modules."""
    for source in _pure(house):
        for found in house.imports(source):
            if found.typing_only or found.top == "compatgw":
                continue
            # A table loads what it lists when somebody first asks for it.
            if found.top == "importlib" and source.parts[-1] == LISTS_MEMBERS:
                continue
            if found.top not in PURE_IMPORTS and found.module not in PURE_IMPORTS:
                yield source.at(
                    found.line,
                    f"{found.module} is imported in a pure folder. Take what it would give as an argument; if it only "
                    "computes, add it to PURE_IMPORTS of tests/architecture/conduct.py.",
                )


def impure_calls(house: House) -> Iterator[str]:
    """Files, the console and the clock through built-in functions and methods."""
    for source in _pure(house):
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Name) and node.func.id in IMPURE_BUILTINS:
                yield source.at(node, f"{node.func.id}() in a pure folder. Take the value as an argument.")
            elif isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_DOORS and not node.args:
                yield source.at(node, f".{node.func.attr}() reads the clock. Take the time as an argument.")


def changed_arguments(house: House) -> Iterator[str]:
    """Public functions of pure files that change what they were given; inner ones may fill a dict of their own."""
    for source in _pure(house):
        for function in source.public_functions():
            given = _arguments(function) - {"self", "cls"}
            for name, line in _changed(function, given):
                yield source.at(line, f"{function.name} changes its argument {name}. Return a new value.")


def global_statements(house: House) -> Iterator[str]:
    """`global`: several gateways live in one process."""
    for source in house.sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Global):
                yield source.at(node, f"global {', '.join(node.names)}. Keep it in an object that a Gateway owns.")


def state_in_modules(house: House) -> Iterator[str]:
    """Lists, dicts and sets at module level that something changes later."""
    for source in house.sources:
        containers = _containers(source.tree)
        for name, line in _changed(source.tree, set(containers)):
            yield source.at(
                line,
                f"{name} stands at module level (line {containers[name]}) and is changed here, so that all gateways "
                "of a process share it. Make it an attribute of an object, or a constant.",
            )


def live_objects_in_modules(house: House) -> Iterator[str]:
    """Locks, queues, clients and engines made at import time."""
    for source in house.sources:
        bound = {
            alias.asname or alias.name.partition(".")[0]: alias.name.partition(".")[0]
            for node in source.tree.body
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        for statement in source.tree.body:
            if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or not isinstance(statement.value, ast.Call):
                continue
            made = ast.unparse(statement.value.func)
            if bound.get(made.partition(".")[0]) in LIVE_LIBRARIES:
                yield source.at(statement, f"{made}() at module level. Make it where the loop that it serves runs.")


def decisions_by_name(house: House, names: frozenset[str]) -> Iterator[str]:
    """Comparisons with a provider's name outside of `providers/`."""
    for source in house.of("compatgw"):
        if source.parts[0] == "providers":
            continue
        for node in ast.walk(source.tree):
            name = next((text for text in _compared(node) if text in names), None)
            if name is not None:
                yield source.at(
                    node,
                    f"A decision asks for '{name}'. Make what differs a field of the provider's row, a quirk, or a "
                    "field of the dialect, and ask for that.",
                )


def provider_names(house: House) -> frozenset[str]:
    """The names of all rows of `providers/table.py`: keys of dicts, and `name` or the first argument of a row."""
    names: set[str] = set()
    for source in house.of("compatgw"):
        if source.parts != ("providers", "table"):
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Provider":
                given = [keyword.value for keyword in node.keywords if keyword.arg == "name"] or node.args[:1]
                names.update(_texts(given))
    return frozenset(names)


def _pure(house: House) -> Iterator[Source]:
    return (source for source in house.of("compatgw") if source.parts[0] in PURE)


def _containers(tree: ast.Module) -> dict[str, int]:
    """Names at module level that hold a list, dict or set, with their lines."""
    found: dict[str, int] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        if _is_container(value):
            found.update({target.id: statement.lineno for target in targets if isinstance(target, ast.Name)})
    return found


def _is_container(value: ast.expr) -> bool:
    if isinstance(value, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)):
        return True
    if isinstance(value, ast.Call):
        called = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
        return called in MUTABLE_MAKERS
    return False


def _changed(tree: ast.AST, names: set[str]) -> Iterator[tuple[str, int]]:
    """Where `tree` changes one of `names`, and does not mean a variable of its own."""
    own = _own_names(tree) if isinstance(tree, _FUNCTIONS) else set()
    visible = names - own
    for node in ast.iter_child_nodes(tree):
        name = _changed_name(node)
        if name is not None and name in visible:
            yield name, node.lineno if isinstance(node, (ast.expr, ast.stmt)) else 1
        yield from _changed(node, visible - _arguments(node) if isinstance(node, _FUNCTIONS) else visible)


def _arguments(function: Function) -> set[str]:
    given = function.args
    return {argument.arg for argument in [*given.posonlyargs, *given.args, *given.kwonlyargs]}


def _own_names(function: Function) -> set[str]:
    """Names that a function assigns, and therefore means for itself."""
    stored = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    shared = {name for n in ast.walk(function) if isinstance(n, ast.Global) for name in n.names}
    return stored - shared


def _changed_name(node: ast.AST) -> str | None:
    """`X` for `X[...] = `, `del X[...]`, `X[...] += ` and `X.append(...)` and their kind."""
    place: ast.expr | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
        place = node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        place = node.func.value
    return place.id if isinstance(place, ast.Name) else None


def _compared(node: ast.AST) -> Iterator[str]:
    """The texts that a comparison, a `match` case or a test of a text's ends looks for."""
    if isinstance(node, ast.Compare):
        yield from _texts([node.left, *node.comparators])
    elif isinstance(node, ast.MatchValue):
        yield from _texts([node.value])
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TEXT_TESTS:
        yield from _texts(node.args)


def _texts(expressions: list[ast.expr]) -> Iterator[str]:
    for expression in expressions:
        if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
            yield expression.value
        elif isinstance(expression, (ast.Tuple, ast.List, ast.Set)):
            yield from _texts(expression.elts)
        elif isinstance(expression, ast.Call) and getattr(expression.func, "id", "") == "frozenset":
            yield from _texts(expression.args)
