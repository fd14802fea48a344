"""Gateways that come and go in one process leave nothing behind."""

import pytest

from tests.soak.mounts import mounted


@pytest.mark.timeout(180)
def test_fifty_mounts_leave_nothing_behind() -> None:
    """`scripts/soak mounts` does it a thousand times, and weighs the memory, too."""
    before, after = mounted(50, 25)
    print(f"before: {before}\nafter:  {after}")
    assert after.tasks <= before.tasks
    assert after.threads <= before.threads
    assert after.sockets <= before.sockets
    assert after.files <= before.files
    assert after.loops <= before.loops
    assert after.gateways <= before.gateways
