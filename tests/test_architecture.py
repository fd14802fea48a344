"""The house's rules hold, over every file of both packages; and each rule finds what it forbids.

A finding names `file:line` and says how to mend it. The rules live in `architecture/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.architecture import conduct, imports, shape
from tests.architecture.source import House, house_of, house_on_disk

Rule = Callable[[House], Iterator[str]]

ROOT = Path(__file__).parent.parent
HOUSE = house_on_disk(ROOT)
NAMES = frozenset({"openai", "anthropic", "groq"})


def decisions_by_name(house: House) -> Iterator[str]:
    """`conduct.decisions_by_name` with the names that the house's own table gives."""
    return conduct.decisions_by_name(house, conduct.provider_names(house))


def findings(rule: Rule, files: dict[str, str]) -> list[str]:
    """What `rule` finds in a made-up house."""
    return list(rule(house_of(files)))


def hold(rule: Rule) -> None:
    """Fails with everything that `rule` finds in the real house."""
    found = list(rule(HOUSE))
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def test_files_import_only_what_stands_below_them() -> None:
    """No arrow points up or sideways on the floors."""
    hold(imports.arrows_back)


def test_dialects_do_not_know_each_other_nor_do_surfaces() -> None:
    """A dialect can be added or taken out without a look at the others."""
    hold(imports.members_that_know_each_other)


def test_only_upstream_and_client_import_an_http_client() -> None:
    """The way out has one door."""
    hold(imports.http_clients_outside_upstream)


def test_only_the_web_imports_starlette() -> None:
    """The way in has one door."""
    hold(imports.starlette_outside_the_web)


def test_the_product_runs_without_its_test_double() -> None:
    """compatgw imports compatgw_testing in the demo alone, when it starts."""
    hold(imports.product_that_knows_its_double)


def test_fakes_share_nothing_with_the_translators() -> None:
    """compatgw_testing imports compatgw in harness.py alone."""
    hold(imports.double_that_knows_the_product)


def test_only_the_plugin_imports_pytest() -> None:
    """The fakes serve without pytest too."""
    hold(imports.pytest_outside_the_plugin)


def test_the_product_does_not_use_the_standard_json() -> None:
    """One JSON library, the fast and strict one."""
    hold(imports.standard_json)


def test_imports_stand_at_the_top_but_for_those_with_a_reason() -> None:
    """An import inside a function hides a circle, or has its reason written down."""
    hold(imports.imports_inside_functions)


def test_every_exception_of_the_import_rules_is_still_needed() -> None:
    """An excuse goes when what it excused goes."""
    hold(imports.needless_exceptions)


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Every file can be read with only the files below it in mind."""
    hold(imports.circles)


def test_pure_folders_wait_for_nothing() -> None:
    """No async in wire, dialects, surfaces, guardrails and policy."""
    hold(conduct.asynchronous_pure_code)


def test_pure_folders_import_only_what_computes() -> None:
    """No HTTP, file, clock, random, logging or environment in the pure folders."""
    hold(conduct.impure_imports)


def test_pure_folders_call_nothing_that_reads_or_writes_the_world() -> None:
    """No open, print or now in the pure folders."""
    hold(conduct.impure_calls)


def test_pure_functions_leave_their_arguments_as_they_are() -> None:
    """Who hands a request in can rely on it afterwards."""
    hold(conduct.changed_arguments)


def test_nothing_is_declared_global() -> None:
    """Several gateways live in one process."""
    hold(conduct.global_statements)


def test_modules_hold_no_state() -> None:
    """Nothing at module level is changed after import."""
    hold(conduct.state_in_modules)


def test_modules_make_no_live_objects() -> None:
    """No lock, queue or client is made at import."""
    hold(conduct.live_objects_in_modules)


def test_no_decision_asks_for_a_provider_by_name() -> None:
    """A provider is a row of data: what is special about it is a field."""
    hold(decisions_by_name)


def test_files_are_no_longer_than_they_may_be() -> None:
    """600 lines; 700 for dialects and the responses surface."""
    hold(shape.long_files)


def test_functions_are_no_longer_than_they_may_be() -> None:
    """60 lines."""
    hold(shape.long_functions)


def test_file_names_say_what_is_inside() -> None:
    """No utils, helpers, common, misc or manager."""
    hold(shape.names_that_say_nothing)


def test_everything_public_has_a_docstring() -> None:
    """Modules, classes, functions and methods."""
    hold(shape.missing_docstrings)


def test_the_names_of_the_providers_are_found_in_their_table() -> None:
    """The rule about names would hold for ever if it knew none."""
    names = conduct.provider_names(HOUSE)

    assert {"openai", "anthropic", "gemini", "cohere"} <= names, sorted(names)


# What each rule must find: rule, file, content, line of the finding.
BAD: list[tuple[Rule, str, str, int]] = [
    (imports.arrows_back, "compatgw/wire/a.py", "import re\nfrom compatgw.flow.run import run", 2),
    (imports.arrows_back, "compatgw/wire/a.py", "from ..flow import run", 1),
    (imports.arrows_back, "compatgw/policy/a.py", "from compatgw.upstream import client", 1),
    (imports.arrows_back, "compatgw/web/a.py", "def f():\n    from compatgw.gateway import Gateway", 2),
    (imports.arrows_back, "compatgw/flow/a.py", "import compatgw", 1),
    (imports.arrows_back, "compatgw/attic/a.py", "", 1),
    (imports.arrows_back, "compatgw/config.py", "if not TYPE_CHECKING:\n    import compatgw.cli", 2),
    (imports.members_that_know_each_other, "compatgw/dialects/cohere.py", "from compatgw.dialects.gemini import x", 1),
    (imports.members_that_know_each_other, "compatgw/dialects/g/a.py", "from compatgw.dialects.cohere.b import x", 1),
    (imports.members_that_know_each_other, "compatgw/dialects/chunks.py", "import compatgw.dialects.cohere", 1),
    (imports.members_that_know_each_other, "compatgw/surfaces/chat.py", "from compatgw.surfaces.messages import x", 1),
    (imports.http_clients_outside_upstream, "compatgw/flow/a.py", "def f():\n    import httpx2", 2),
    (imports.http_clients_outside_upstream, "compatgw/web/a.py", "from aiohttp import web", 1),
    (imports.http_clients_outside_upstream, "compatgw/web/a.py", "import_module('httpx')", 1),
    (imports.starlette_outside_the_web, "compatgw/flow/a.py", "from starlette.requests import Request", 1),
    (imports.product_that_knows_its_double, "compatgw/gateway.py", "def f():\n    import compatgw_testing", 2),
    (imports.product_that_knows_its_double, "compatgw/demo.py", "import compatgw_testing.fakes", 1),
    (imports.double_that_knows_the_product, "compatgw_testing/fakes/a.py", "from compatgw.wire import sse", 1),
    (imports.double_that_knows_the_product, "compatgw_testing/plugin.py", "def f():\n    import compatgw", 2),
    (imports.pytest_outside_the_plugin, "compatgw_testing/harness.py", "import pytest", 1),
    (imports.pytest_outside_the_plugin, "compatgw/demo.py", "def f():\n    from pytest import fail", 2),
    (imports.standard_json, "compatgw/web/a.py", "import json", 1),
    (imports.standard_json, "compatgw/web/a.py", "from json import dumps", 1),
    (imports.imports_inside_functions, "compatgw/flow/a.py", "def f():\n    import compatgw.errors", 2),
    (imports.imports_inside_functions, "compatgw_testing/a.py", "async def f():\n    from random import Random", 2),
    (conduct.asynchronous_pure_code, "compatgw/policy/a.py", "async def f(): ...", 1),
    (conduct.asynchronous_pure_code, "compatgw/wire/a.py", "x = lambda y: [z async for z in y]", 1),
    (conduct.impure_imports, "compatgw/dialects/a.py", "import time", 1),
    (conduct.impure_imports, "compatgw/policy/a.py", "def f():\n    import random", 2),
    (conduct.impure_imports, "compatgw/surfaces/a.py", "from os import environ", 1),
    (conduct.impure_imports, "compatgw/wire/a.py", "import urllib.request", 1),
    (conduct.impure_calls, "compatgw/policy/a.py", "def f():\n    return open('x')", 2),
    (conduct.impure_calls, "compatgw/policy/a.py", "x = datetime.now()", 1),
    (conduct.changed_arguments, "compatgw/policy/a.py", "def f(x):\n    x['a'] = 1", 2),
    (conduct.changed_arguments, "compatgw/dialects/a.py", "class A:\n    def f(self, x):\n        del x[0]", 3),
    (conduct.global_statements, "compatgw/flow/a.py", "def f():\n    global x", 2),
    (conduct.state_in_modules, "compatgw/flow/a.py", "SEEN = {}\ndef f(x):\n    SEEN[x] = 1", 3),
    (conduct.state_in_modules, "compatgw/flow/a.py", "SEEN: list[int] = []\nasync def f(x):\n    SEEN.append(x)", 3),
    (conduct.state_in_modules, "compatgw_testing/a.py", "S = collections.deque()\ndef f():\n    S.pop()", 3),
    (conduct.live_objects_in_modules, "compatgw/flow/a.py", "import asyncio\nLOCK = asyncio.Lock()", 2),
    (conduct.live_objects_in_modules, "compatgw/upstream/a.py", "import httpx as h\nCLIENT: X = h.AsyncClient()", 2),
    (shape.long_files, "compatgw/flow/a.py", "\n" * 601, 601),
    (shape.long_files, "compatgw/dialects/a.py", "\n" * 701, 701),
    (shape.long_functions, "compatgw/flow/a.py", "x = 1\ndef f():\n" + "    x = 1\n" * 60, 2),
    (shape.names_that_say_nothing, "compatgw/web/http_utils.py", "", 1),
    (shape.names_that_say_nothing, "compatgw/common/a.py", "", 1),
    (shape.missing_docstrings, "compatgw/a.py", "x = 1", 1),
    (shape.missing_docstrings, "compatgw/a.py", "'''A.'''\ndef f(): ...", 2),
    (shape.missing_docstrings, "compatgw/a.py", "'''A.'''\nclass A:\n    '''A.'''\n    def f(self): ...", 4),
]


@pytest.mark.parametrize(("rule", "path", "content", "line"), BAD)
def test_each_rule_finds_what_it_forbids(rule: Rule, path: str, content: str, line: int) -> None:
    """A rule that cannot fail protects nothing; the finding names file and line."""
    found = findings(rule, {path: content})

    assert [f"{path}:{line}"] == [finding.partition(": ")[0] for finding in found]


# What each rule must let pass: rule, file, content.
GOOD: list[tuple[Rule, str, str]] = [
    (imports.arrows_back, "compatgw/wire/a.py", "if TYPE_CHECKING:\n    from compatgw.flow.run import Run"),
    (imports.arrows_back, "compatgw/flow/a.py", "from compatgw.flow import call\nfrom compatgw.errors import NotFound"),
    (imports.members_that_know_each_other, "compatgw/dialects/cohere/a.py", "from compatgw.dialects import base, ids"),
    (imports.members_that_know_each_other, "compatgw/dialects/cohere/a.py", "from compatgw.dialects.cohere import b"),
    (imports.members_that_know_each_other, "compatgw/dialects/table.py", "from compatgw.dialects.cohere import b"),
    (imports.http_clients_outside_upstream, "compatgw/upstream/hx.py", "import httpx"),
    (imports.starlette_outside_the_web, "compatgw/web/a.py", "import starlette.routing"),
    (imports.product_that_knows_its_double, "compatgw/demo.py", "def f():\n    import compatgw_testing"),
    (imports.double_that_knows_the_product, "compatgw_testing/harness.py", "import compatgw"),
    (imports.imports_inside_functions, "compatgw/upstream/a.py", "def f():\n    import httpx"),
    (imports.imports_inside_functions, "compatgw/demo.py", "def f():\n    import socket"),
    (conduct.asynchronous_pure_code, "compatgw/flow/a.py", "async def f(): ..."),
    (conduct.impure_imports, "compatgw/policy/a.py", "import re, urllib.parse\nfrom compatgw.errors import NotFound"),
    (conduct.impure_calls, "compatgw/flow/a.py", "print('x')"),
    (conduct.changed_arguments, "compatgw/policy/a.py", "def f(x):\n    x = dict(x)\n    x['a'] = 1"),
    (conduct.changed_arguments, "compatgw/policy/a.py", "class _A:\n    def f(self, x):\n        x.pop()"),
    (conduct.changed_arguments, "compatgw/policy/a.py", "def _f(out):\n    out['a'] = 1"),
    (conduct.state_in_modules, "compatgw/flow/a.py", "TABLE = {}\ndef f(x):\n    return TABLE[x]"),
    (conduct.state_in_modules, "compatgw/flow/a.py", "OWN = []\ndef f():\n    OWN = []\n    OWN.append(1)"),
    (conduct.state_in_modules, "compatgw/flow/a.py", "OWN = []\ndef f(OWN):\n    OWN.append(1)"),
    (conduct.live_objects_in_modules, "compatgw/flow/a.py", "import re\nNAME = re.compile('x')"),
    (shape.long_files, "compatgw/dialects/a.py", "\n" * 700),
    (shape.long_functions, "compatgw/flow/a.py", "def f():\n" + "    x = 1\n" * 59),
    (shape.missing_docstrings, "compatgw/a.py", "'''A.'''\ndef _f(): ...\n@overload\ndef g(): ..."),
]


@pytest.mark.parametrize(("rule", "path", "content"), GOOD)
def test_each_rule_lets_pass_what_is_allowed(rule: Rule, path: str, content: str) -> None:
    """A rule that always fails is soon switched off."""
    assert findings(rule, {path: content}) == []


@pytest.mark.parametrize(
    "content",
    [
        "if provider == 'groq': ...",
        "x = 1 if 'openai' != name else 2",
        "if name in ('openai', 'x'): ...",
        "assert name not in frozenset({'anthropic'})",
        "match name:\n    case 'groq' | 'x': ...",
        "name.startswith('anthropic')",
    ],
)
def test_a_decision_by_name_is_found_in_every_form(content: str) -> None:
    """Equality, membership, match and the ends of a text."""
    found = findings(partial(conduct.decisions_by_name, names=NAMES), {"compatgw/flow/a.py": content})

    assert len(found) == 1


@pytest.mark.parametrize("path", ["compatgw/providers/auth.py", "compatgw_testing/fakes/openai.py"])
def test_names_may_be_asked_for_where_they_live(path: str) -> None:
    """The rows' own folder and the test double know the vendors."""
    assert findings(partial(conduct.decisions_by_name, names=NAMES), {path: "x = name == 'openai'"}) == []


def test_names_are_read_from_rows_of_either_form() -> None:
    """`name=` or the first argument."""
    table = "ROWS = (Provider('a', 'openai'), Provider(dialect='openai', name='b'))"

    assert frozenset({"a", "b"}) == conduct.provider_names(house_of({"compatgw/providers/table.py": table}))


def test_a_circle_is_found_and_drawn() -> None:
    """Through a third module, and not through imports for types or inside functions."""
    circle = {
        "compatgw/flow/a.py": "import re\nfrom compatgw.flow import b",
        "compatgw/flow/b.py": "from compatgw.flow.c import x",
        "compatgw/flow/c.py": "import compatgw.flow.a",
        "compatgw/flow/d.py": "from compatgw.flow import e",
        "compatgw/flow/e.py": "def f():\n    import compatgw.flow.d",
    }

    found = findings(imports.circles, circle)

    assert len(found) == 1
    assert found[0].startswith(
        "compatgw/flow/a.py:2: compatgw.flow.a -> compatgw.flow.b -> compatgw.flow.c -> compatgw.flow.a is a circle."
    )


def test_an_excuse_that_excuses_nothing_is_found() -> None:
    """In an empty house every row is one too many."""
    found = findings(imports.needless_exceptions, {})

    assert len(found) == len(imports.LAZY) + len(imports.LAZY_FILES)
