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
