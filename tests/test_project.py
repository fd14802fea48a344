"""What holds for the project as a whole: public names, versions, the changelog, the files that are handed out.

What does not live here: the code's own rules (`test_architecture.py`), the README's examples (`test_readme.py`).
"""

from __future__ import annotations

import importlib.metadata
import inspect
import os
import re
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

import compatgw
from compatgw.version import __version__

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
SCRIPTS = sorted(path.name for path in (ROOT / "scripts").iterdir() if path.is_file())

CHANGE_KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Dependencies"}
# What a line may not hold, and what to do about it. Split where this very file would hold it.
FORBIDDEN = {
    r"(?<![\w.])/(home|root|Users|work|mnt|opt)/\w": "a path of somebody's machine; make it relative or an argument",
    r"(?<![\w./])\.\./\.\./|(?<![\w./\"'])\.\./shared": "a path out of the project",
    r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b": "a promise instead of the thing itself; do it or take it out",
    r"-----BEGIN [A-Z ]*PRIVATE" + " KEY": "a private key",
    r"\bsk-(proj|ant-api\d\d|or-v1|svcacct)-[\w-]{24,}": "what looks like a provider's key",
    r"\b(AIza[\w-]{35}|gsk_\w{40,}|hf_\w{30,}|AKIA[A-Z0-9]{16})\b": "what looks like a provider's key",
    r"^(<{7}|={7}|>{7})( |$)": "what a merge left behind",
}
# Files that may hold one of them: (path, pattern's beginning) to the reason.
ALLOWED = {(".ci/run", r"(?<![\w./])\.\./\.\./"): "recordings stand beside the project and are no part of it"}
# Folders and files that tools make, where no version control says so.
MADE = re.compile(r"\.(?!ci$|gitignore$).*|build|dist|htmlcov|__pycache__|.*\.egg-info|.*\.db")
TEXT_SUFFIXES = {"", ".py", ".md", ".toml", ".json", ".yaml", ".yml", ".txt", ".c", ".cfg", ".ini", ".sh", ".html"}


@cache
def handed_out() -> list[Path]:
    """The files under version control, new ones too; where there is none, all that no tool has made."""
    git = shutil.which("git")
    command = [str(git), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False) if git else None
    if listed is None or listed.returncode != 0:
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
        return sorted(ROOT / path for path in found if not any(MADE.fullmatch(part) for part in path.parts))
    names = {os.fsdecode(name) for name in listed.stdout.split(b"\0") if name}
    return sorted(path for path in (ROOT / name for name in names) if path.is_file())


def test_nothing_is_public_by_accident() -> None:
    """What the package lists of itself is `__all__`, and what is imported into it besides stays out of sight."""
    assert set(dir(compatgw)) == set(compatgw.__all__)


def test_every_public_name_says_what_it_is() -> None:
    """Classes and functions of the public face have docstrings."""
    public = {name: getattr(compatgw, name) for name in compatgw.__all__}

    assert [name for name, value in public.items() if callable(value) and not inspect.getdoc(value)] == []


def test_the_version_is_the_same_everywhere() -> None:
    """Package, metadata and project file."""
    assert PYPROJECT["project"]["version"] == __version__
    assert compatgw.__version__ == __version__
    assert importlib.metadata.version("compatgw") == __version__


def test_the_changelog_leads_with_the_version_of_the_package() -> None:
    """Its newest section is that version, or is named as the one that will be."""
    newest = re.search(r"^## \[(Unreleased|\d+\.\d+\.\d+)\](?: - (\S+))?$", CHANGELOG, re.MULTILINE)

    assert newest is not None, "CHANGELOG.md needs a section '## [Unreleased] - <version>'."
    assert __version__ == (newest[2] if newest[1] == "Unreleased" else newest[1])


def test_the_changelog_has_the_form_that_it_says() -> None:
    """Sections by kind of change, and every entry a full sentence."""
    kinds = re.findall(r"^### (.+)$", CHANGELOG, re.MULTILINE)
    entries = re.findall(r"^- (.+(?:\n  .+)*)$", CHANGELOG, re.MULTILINE)

    assert kinds
    assert entries
    assert set() == set(kinds) - CHANGE_KINDS
    assert [entry for entry in entries if not re.match(r"[A-Z`]", entry) or not entry.endswith(".")] == []


def test_every_dependency_has_its_reason_in_the_changelog() -> None:
    """A dependency is a decision; `name` in backticks opens the line that gives its reason."""
    project = PYPROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[\[><=;~! ]", requirement)[0] for group in groups for requirement in group} - {"compatgw"}
    sections = re.findall(r"^### Dependencies\n(.*?)(?=^##|\Z)", CHANGELOG, re.MULTILINE | re.DOTALL)
    explained = [name for section in sections for name in re.findall(r"^- `([\w.-]+)`", section, re.MULTILINE)]

    assert set() == names - set(explained), "dependencies without a reason"
    assert set() == set(explained) - names, "reasons without a dependency"


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_can_be_run_and_says_how(name: str) -> None:
    """Executable, with its usage at its head, and named in CONTRIBUTING.md."""
    path = ROOT / "scripts" / name
    lines = path.read_text("utf-8").splitlines()

    assert os.access(path, os.X_OK)
    assert lines[0].startswith("#!/usr/bin/env ")
    assert re.match(r'# \w|"""\w', lines[1])
    assert f"scripts/{name}" in CONTRIBUTING


def test_no_file_holds_what_does_not_belong_in_one() -> None:
    """No paths of a machine, no promises, no keys, no traces of a merge."""
    found = []
    for path in handed_out():
        if path.suffix not in TEXT_SUFFIXES:
            continue
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            for pattern, what in FORBIDDEN.items():
                if re.search(pattern, line) and not any(n == name and pattern.startswith(p) for n, p in ALLOWED):
                    found.append(f"{name}:{number}: {what}: {line.strip()[:80]}")

    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "open('/ho" + "me/ann/x')",
        "cd /ro" + "ot/project",
        "path = '../" + "../elsewhere'",
        "# TO" + "DO: later",
        "-----BEGIN RSA PRIVATE" + " KEY-----",
        "key = 'sk-proj-" + "a" * 40 + "'",
        "AIza" + "b" * 35,
        "<<<<<<" + "< HEAD",
    ],
)
def test_what_does_not_belong_in_a_file_is_recognised(line: str) -> None:
    """The patterns find what they are for."""
    assert any(re.search(pattern, line) for pattern in FORBIDDEN)


@pytest.mark.parametrize("line", ["sk-ant-...", "GET /v1/models", "tests/../x", "=======-", "https://a/home/page"])
def test_what_belongs_in_a_file_is_left_alone(line: str) -> None:
    """The patterns find nothing else."""
    assert not any(re.search(pattern, line) for pattern in FORBIDDEN)
