"""The public interface has types, and they say what applications need. mypy reads these files with all others."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import compatgw

HERE = Path(__file__).parent
STRICT = {
    "typeCheckingMode": "strict",
    "include": ["."],
    "reportUnusedExpression": False,
    "reportUnusedFunction": False,
}


def found(folder: Path) -> list[str]:
    """What pyright says of the files of a folder."""
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright is not installed: pip install --group dev")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(folder)],
            capture_output=True,
            text=True,
            cwd=folder,
            timeout=150,
        )
    except subprocess.TimeoutExpired:
        # Where there is no Node it fetches one, which takes for ever without a network.
        pytest.skip("pyright did not start within 150 seconds")
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright does not run here: {(done.stderr or done.stdout).strip()[:200]}")
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 1
    return [
        f"{one['range']['start']['line'] + 1}: {one['message']}"
        for one in report["generalDiagnostics"]
        if one["severity"] == "error"
    ]


@pytest.mark.timeout(240)
def test_pyright_finds_nothing_in_what_applications_write(tmp_path: Path) -> None:
    """In its strict mode, with the package seen as an installed one."""
    (tmp_path / "uses.py").write_text((HERE / "uses.py").read_text("utf-8"), "utf-8")
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(STRICT), "utf-8")
    assert found(tmp_path) == []


@pytest.mark.timeout(240)
def test_pyright_refuses_what_is_wrong(tmp_path: Path) -> None:
    """Every line that is meant to be wrong, and no other."""
    text = (HERE / "refused.py").read_text("utf-8")
    wrong = [number for number, line in enumerate(text.splitlines(), 1) if "# type: ignore" in line]
    (tmp_path / "refused.py").write_text(text.replace("# type: ignore", "# wrong"), "utf-8")
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(STRICT), "utf-8")
    lines = {int(one.partition(":")[0]) for one in found(tmp_path)}
    assert sorted(lines) == wrong


def test_both_packages_say_that_they_have_types() -> None:
    """By the marker of PEP 561."""
    home = Path(compatgw.__file__).parent
    assert (home / "py.typed").is_file()
    assert (home.parent / "compatgw_testing" / "py.typed").is_file()
