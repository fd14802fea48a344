"""What all tests share: no provider key of the machine ever reaches one."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_keys_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_TOKEN", "_BASE_URL")) or name.startswith("COMPATGW_"):
            if name != "COMPATGW_RECORDINGS":
                monkeypatch.delenv(name)
