"""Who may import whom. Each rule is a function from a house to its findings.

What does not live here: what code does with what it imported (`conduct.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.architecture.source import House, Import, Source

# From the ground up. A unit imports from floors below its own, never sideways to another unit
# of its floor, and whatever it likes within itself.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("version", "errors", "wire", "state.base", "state.loops"),
    ("dialects", "surfaces", "guardrails"),
    ("providers",),
    ("sections",),
    ("config",),
    ("policy", "upstream", "telemetry"),
    ("flow",),
    ("web",),
    ("admin",),
    ("openapi",),
    ("pages",),
    ("state", "client"),
    ("reaching", "imported"),
    ("assembly", "importing", "origins"),
    ("renewing",),
    ("standing",),
    ("gateway",),
    ("demo",),
    ("cli",),
    ("__main__", "__init__"),
)
# The same for the test double.
DOUBLE_FLOORS: tuple[tuple[str, ...], ...] = (
    ("faults", "request", "patterns", "guard", "attempts", "specimens"),
    ("clock", "script", "doors"),
    ("expected", "vectors", "verbs", "server", "harness", "lifelike"),
    ("rules", "sample"),
    ("difference",),
    ("journal", "stable"),
    ("verdict",),
    ("fakes",),
    ("llm",),
    ("cassettes",),
    ("ext",),
    ("matrix", "check", "serve", "cassettes.command"),
    ("cli",),
    ("plugin", "__main__", "__init__"),
)


def _numbered(floors: tuple[tuple[str, ...], ...]) -> dict[str, int]:
    return {unit: number for number, floor in enumerate(floors) for unit in floor}


FLOOR_OF: Mapping[str, Mapping[str, int]] = {
    "compatgw": _numbered(FLOORS),
    "compatgw_testing": _numbered(DOUBLE_FLOORS),
}

# Files that the members of a folder have in common, and the one that lists the members.
SHARED: Mapping[str, frozenset[str]] = {
    "dialects": frozenset(
        {"base", "chunks", "failure", "media", "ids", "images", "assemble"}
        | {"blocks", "bodies", "batches", "events", "fence", "hosted", "purposes", "ranking", "vectors"}
    ),
    "surfaces": frozenset({"base", "extensions", "guards", "whole"}),
    "fakes": frozenset(
        {"answer", "base", "delivery", "form", "jsonschema", "media", "pictures", "quota", "scripted", "shape"}
    ),
}
LISTS_MEMBERS = "table"
_COMMON = "(shared files)"

HTTP_CLIENTS = frozenset({"aiohttp", "httpx", "httpx2", "requests", "urllib3"})
STORAGE_DRIVERS = frozenset({"sqlalchemy", "aiosqlite", "alembic", "asyncpg", "redis"})

# Modules that may be imported inside a function everywhere, because an installation may lack them.
LAZY_ANYWHERE = HTTP_CLIENTS | STORAGE_DRIVERS | {"uvicorn"}
# Files whose functions may import anything.
LAZY_FILES: Mapping[str, str] = {
    "compatgw/demo.py": "the fakes come with an extra of their own",
    "compatgw_testing/plugin.py": "pytest loads it into every test run, needed or not",
}
# Single imports inside a function: (file, module) to the reason.
LAZY: Mapping[tuple[str, str], str] = {
    ("compatgw/cli/bring.py", "yaml"): "needs PyYAML, which only who brings a LiteLLM configuration has to have",
    ("compatgw/cli/serve.py", "compatgw.demo"): "the demo's fakes come with an extra of their own",
    ("compatgw/upstream/client.py", "compatgw.upstream.aio"): "needs aiohttp, which an installation may lack",
    ("compatgw/upstream/client.py", "compatgw.upstream.hx"): "the twin of aio: one of the two is loaded",
    (
        "compatgw/state/opening.py",
        "compatgw.state.sql",
    ): "needs SQLAlchemy, which a gateway without a database may lack",
    ("compatgw/state/opening.py", "compatgw.state.redis"): "needs redis, which a gateway on its own may lack",
    ("compatgw/gateway.py", "compatgw.standing"): "a third of a second, which who only imports the name does not pay",
    ("compatgw/gateway.py", "compatgw.config"): "the same",
    ("compatgw/standing.py", "compatgw.admin.api"): "only a gateway with a ledger has it",
    ("compatgw/standing.py", "compatgw.openapi.endpoint"): "built for whoever asks for it first",
    ("compatgw/standing.py", "compatgw.pages.public"): "needs jinja2, which an installation may lack",
    ("compatgw/standing.py", "compatgw.pages.console.routes"): "the same",
    ("compatgw/standing.py", "compatgw.pages.static"): "read for whoever asks for a page first",
    ("compatgw/assembly.py", "compatgw.state.secrets"): "needs argon2 and cryptography, which an installation may lack",
    ("compatgw/assembly.py", "compatgw.state.verify"): "the same",
    (
        "compatgw/flow/guarding.py",
        "compatgw.guardrails.pii",
    ): "its patterns take time, and most gateways have none of it",
    ("compatgw/flow/guarding.py", "compatgw.guardrails.moderation"): "the same",
    ("compatgw/assembly.py", "compatgw.flow.conversations"): "loaded with the first call of the surface that has them",
    ("compatgw/assembly.py", "compatgw.flow.background"): "the same",
    ("compatgw/assembly.py", "compatgw.flow.shelves"): "the same",
    ("compatgw/web/routes.py", "compatgw.web.responses"): "the same: `responses`",
    ("compatgw/assembly.py", "compatgw.admin.office"): "only a gateway with a ledger has it",
    ("compatgw/assembly.py", "compatgw.web.oidc"): "only a gateway with issuers has it",
    (
        "compatgw/upstream/tokens.py",
        "compatgw.upstream.statement",
    ): "needs cryptography, which a gateway without service accounts may lack",
    (
        "compatgw/telemetry/choosing.py",
        "compatgw.telemetry.otel",
    ): "needs opentelemetry-api, which a gateway without traces may lack",
    ("compatgw/web/oidc.py", "jwt"): "needs PyJWT, which a gateway without issuers may lack",
    ("compatgw/web/oidc.py", "jwt.algorithms"): "the same; it tells whether cryptography is there",
    ("compatgw/web/identify.py", "starlette.requests"): "only who hands in `authenticate=` pays for its import",
    ("compatgw/guardrails/pii_numbers.py", "phonenumbers"): "only the guardrail pii has it, an eighth of a second",
    (
        "compatgw/guardrails/schema.py",
        "jsonschema",
    ): "only the guardrail schema_validation has it, a quarter of a second",
    ("compatgw/guardrails/schema.py", "jsonschema.exceptions"): "the same",
    ("compatgw/guardrails/schema.py", "jsonschema.validators"): "the same",
    ("compatgw/guardrails/schema.py", "referencing"): "the same; jsonschema stands on it",
    ("compatgw/guardrails/schema.py", "referencing.exceptions"): "the same",
    ("compatgw_testing/ext/vcr.py", "vcr"): "whoever uses no vcrpy need not have it; it patches on import",
    ("compatgw_testing/lifelike.py", "faker.generator"): "whoever scripts every answer need not wait for it",
    ("compatgw/gateway.py", "openai"): "the host's own SDK, wanted only by who asks for a ready client of it",
}


def arrows_back(house: House) -> Iterator[str]:
    """Imports that point up or sideways on the floors of either package."""
    for package, floors in FLOOR_OF.items():
        for source in house.of(package):
            yield from _arrows_back(house, source, package, floors)


def _arrows_back(house: House, source: Source, package: str, floors: Mapping[str, int]) -> Iterator[str]:
    unit = _unit(source.parts, floors)
    if unit not in floors:
        yield source.at(1, f"'{unit}' has no floor. Give it one in FLOORS of tests/architecture/imports.py.")
        return
    for found in _at_run_time(house, source):
        if found.top != package:
            continue
        target = _unit(_parts_of(found.module), floors)
        if target == unit:
            continue
        if target not in floors or floors[target] >= floors[unit]:
            yield source.at(
                found.line,
                f"{unit} imports {found.module}, which does not stand below it. "
                "Move what both need to a lower floor, or hand it in as an argument.",
            )


def members_that_know_each_other(house: House) -> Iterator[str]:
    """A dialect that imports a dialect, a surface that imports a surface, a vendor's fake that imports another's."""
    for source in (*house.of("compatgw"), *house.of("compatgw_testing")):
        member = _member(source.parts)
        if member is None or member[1] == LISTS_MEMBERS:
            continue
        for found in _at_run_time(house, source):
            other = _member(_parts_of(found.module)) if found.top in FLOOR_OF else None
            if other is not None and other[0] == member[0] and other[1] not in (member[1], _COMMON):
                yield source.at(
                    found.line,
                    f"{member[0]}/{member[1]} imports {member[0]}/{other[1]}. Write the few lines again, or move "
                    f"them to a shared file ({', '.join(sorted(SHARED[member[0]]))}).",
                )


def http_clients_outside_upstream(house: House) -> Iterator[str]:
    """HTTP clients anywhere but in `upstream/` and `client/`."""
    for source in house.of("compatgw"):
        if source.parts[0] in ("upstream", "client"):
            continue
        for found in _at_run_time(house, source):
            if found.top in HTTP_CLIENTS:
                yield source.at(found.line, f"{found.top} is imported outside of upstream/. Call `upstream/client.py`.")


def starlette_outside_the_web(house: House) -> Iterator[str]:
    """Starlette anywhere but in `web/`."""
    for source in house.of("compatgw"):
        if source.parts[0] == "web":
            continue
        for found in _at_run_time(house, source):
            if found.top == "starlette":
                yield source.at(found.line, "Starlette is imported outside of web/. Move it.")


def product_that_knows_its_double(house: House) -> Iterator[str]:
    """`compatgw` importing `compatgw_testing`, but for `demo.py` inside a function."""
    for source in house.of("compatgw"):
        for found in _at_run_time(house, source):
            if found.top != "compatgw_testing" or (source.path == "compatgw/demo.py" and found.lazy):
                continue
            yield source.at(
                found.line, "compatgw must run without compatgw_testing. Only demo.py may import it, in a function."
            )


def double_that_knows_the_product(house: House) -> Iterator[str]:
    """`compatgw_testing` importing `compatgw` anywhere but in `harness.py`."""
    for source in house.of("compatgw_testing"):
        for found in _at_run_time(house, source):
            if found.top == "compatgw" and source.path != "compatgw_testing/harness.py":
                yield source.at(
                    found.line,
                    "A fake that uses the translators repeats their mistakes. Write it from the vendor's documents; "
                    "what wires both together belongs in harness.py.",
                )


def pytest_outside_the_plugin(house: House) -> Iterator[str]:
    """pytest anywhere but in `plugin.py`: the fakes serve without it."""
    for source in house.sources:
        for found in _at_run_time(house, source):
            if found.top in ("pytest", "_pytest") and source.path != "compatgw_testing/plugin.py":
                yield source.at(found.line, "pytest is imported outside of compatgw_testing/plugin.py. Move it there.")


def standard_json(house: House) -> Iterator[str]:
    """The standard library's json in the product."""
    for source in house.of("compatgw"):
        for found in house.imports(source):
            if found.top == "json":
                yield source.at(
                    found.line, "json is imported. Use orjson: it is several times as fast and refuses NaN."
                )


def imports_inside_functions(house: House) -> Iterator[str]:
    """Imports inside functions, but for what an installation may lack and what LAZY gives a reason for."""
    for source in house.sources:
        if source.path in LAZY_FILES:
            continue
        for found in house.imports(source):
            if not found.lazy or found.typing_only or found.top in LAZY_ANYWHERE:
                continue
            if (source.path, found.module) not in LAZY:
                yield source.at(
                    found.line,
                    f"{found.module} is imported inside a function. Move it to the top of the file; if that makes a "
                    "circle, split the file; if it may be missing, add it with its reason to LAZY in "
                    "tests/architecture/imports.py.",
                )


def needless_exceptions(house: House) -> Iterator[str]:
    """Rows of LAZY and LAZY_FILES that excuse nothing (any more)."""
    lazy = {(s.path, i.module) for s in house.sources for i in house.imports(s) if i.lazy and not i.typing_only}
    files = {path for path, _ in lazy}
    for path, module in LAZY:
        if (path, module) not in lazy:
            yield f"tests/architecture/imports.py:1: LAZY excuses {module} in {path}, which is not there. Take it out."
    for path in LAZY_FILES:
        if path not in files:
            yield f"tests/architecture/imports.py:1: LAZY_FILES excuses {path} for nothing. Take it out."


def circles(house: House) -> Iterator[str]:
    """Modules that import each other in a ring, over the imports at module level."""
    lines: dict[str, dict[str, int]] = {source.module: {} for source in house.sources}
    paths = {source.module: source for source in house.sources}
    for source in house.sources:
        for found in house.imports(source):
            if not found.lazy and not found.typing_only and found.module in lines and found.module != source.module:
                lines[source.module].setdefault(found.module, found.line)
    for ring in _rings(lines):
        first = paths[ring[0]]
        line = next(lines[ring[0]][module] for module in ring if module in lines[ring[0]])
        yield first.at(
            line, f"{' -> '.join([*ring, ring[0]])} is a circle. Move what they share to a file that imports neither."
        )


def _at_run_time(house: House, source: Source) -> Iterator[Import]:
    return (found for found in house.imports(source) if not found.typing_only)


def _parts_of(module: str) -> tuple[str, ...]:
    """The folders and stem of a module of the house; a package counts as its `__init__`."""
    parts = tuple(module.split(".")[1:])
    return parts if parts else ("__init__",)


def _unit(parts: tuple[str, ...], floors: Mapping[str, int]) -> str:
    """The part of the house that a file belongs to: its top folder or file, or a file with a floor of its own."""
    own = ".".join(parts[:2])
    return own if own in floors else parts[0]


def _member(parts: tuple[str, ...]) -> tuple[str, str] | None:
    """`("dialects", "cohere")` for all files of that dialect, be it a file or a folder; None for other files."""
    folder = parts[0]
    if folder not in SHARED or len(parts) < 2 or parts[1] == "__init__":
        return None
    return folder, _COMMON if parts[1] in SHARED[folder] else parts[1]


def _rings(edges: dict[str, dict[str, int]]) -> list[list[str]]:
    """The strongly connected components of more than one module (Tarjan), each along its imports."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    rings: list[list[str]] = []

    def descend(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in edges[module]:
            if other not in index:
                descend(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            component = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(component) > 1:
                rings.append(_along(component, edges))

    for module in edges:
        if module not in index:
            descend(module)
    return rings


def _along(component: list[str], edges: dict[str, dict[str, int]]) -> list[str]:
    """A shortest way round within a component, from its first module back to it."""
    start = min(component)
    ways = [[start]]
    seen: set[str] = set()
    while True:
        way = ways.pop(0)
        for other in edges[way[-1]]:
            if other == start:
                return way
            if other in component and other not in seen:
                seen.add(other)
                ways.append([*way, other])
