"""What importing the package brings along, and what it names."""

import subprocess
import sys
import tomllib
from pathlib import Path

import compatgw

HEAVY = ("httpx", "httpx2", "aiohttp", "genai_prices", "sqlalchemy", "uvicorn", "starlette", "anyio", "openai")


def test_importing_the_package_brings_no_http_library_and_no_server() -> None:
    """They come with the first use."""
    code = f"import sys; from compatgw import Gateway; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_name_alone_loads_no_library_at_all() -> None:
    """Nor the larger part of the house: both come with the first gateway."""
    found = loaded("from compatgw import Gateway")
    strange = {name.partition(".")[0] for name in found} - sys.stdlib_module_names - {"compatgw"}
    assert {name for name in strange if not name.startswith("_sysconfigdata")} == set()
    assert not {name for name in found if name.startswith(("compatgw.flow", "compatgw.web", "compatgw.config"))}


THIRD_PARTY = {
    "annotated_types",
    "orjson",
    "pydantic",
    "pydantic_core",
    "python_multipart",
    "typing_extensions",
    "typing_inspection",
}
# What most gateways do without, until a setting or a call asks for it.
LATER = (
    "compatgw.admin.api", "compatgw.admin.office", "compatgw.dialects.anthropic", "compatgw.dialects.gemini", "compatgw.dialects.openai",
    "compatgw.guardrails.moderation", "compatgw.guardrails.pii", "compatgw.state.redis", "compatgw.state.sql",
    "compatgw.surfaces.audio", "compatgw.surfaces.images", "compatgw.surfaces.messages", "compatgw.surfaces.responses", "compatgw.web.oidc",
)  # fmt: skip


def loaded(code: str) -> set[str]:
    """The modules that `code` loads in an interpreter of its own."""
    code = f"import sys; before = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_what_the_gateway_loads_of_others_is_known() -> None:
    """It brings nothing else before its first call."""
    code = "from compatgw import Gateway; Gateway(environ={}, keys=['k'], providers={'openai': {'api_key': 'k'}})"
    tops = {name.partition(".")[0] for name in loaded(code)}
    strange = {name for name in tops - sys.stdlib_module_names - {"compatgw"} if not name.startswith("_sysconfigdata")}
    assert strange == THIRD_PARTY


def test_what_few_gateways_need_is_loaded_when_it_is_needed() -> None:
    """Surfaces with their first call or with the start of the host, the others where settings ask for them."""
    found = loaded("from compatgw import Gateway; Gateway(environ={}, keys=['k'])")
    assert found & set(LATER) == set()
    opened = "import asyncio; from compatgw import Gateway; asyncio.run(Gateway(environ={}, keys=['k']).open())"
    assert {"compatgw.surfaces.messages", "compatgw.surfaces.audio"} <= loaded(opened)


def test_no_validator_is_built_by_importing() -> None:
    """The first gateway builds them."""
    code = "import compatgw.surfaces.chat as c, compatgw.config as s; print(c.validator.cache_info().currsize, s._adapter.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "0"]


def test_the_public_names_are_sorted_and_importable() -> None:
    """`__all__` is the whole of it."""
    assert compatgw.__all__ == sorted(compatgw.__all__)
    for name in compatgw.__all__:
        assert getattr(compatgw, name) is not None


def test_the_version_is_one() -> None:
    """Package and project agree."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == compatgw.__version__
