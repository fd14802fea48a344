"""Which cassettes nobody needs any more: those whose test is gone.

What does not live here: deleting them (`command.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from compatgw_testing.cassettes.format import Cassette


def obsolete(cassette: Cassette, root: Path) -> str | None:
    """Why a cassette is not needed; None if it is, or if it does not say which test recorded it.

    Args:
        cassette: The cassette.
        root: The folder that names of tests start from, such as `tests/test_chat.py::test_stream[openai]`.
    """
    test = cassette.provenance.test
    file, _, rest = test.partition("::")
    if not rest:
        return None
    source = root / file
    if not source.is_file():
        return f"its test {test} is gone: there is no {file}"
    name = rest.partition("[")[0].rpartition("::")[2]
    text = source.read_text("utf-8", "replace")
    if re.search(rf"^\s*(?:async\s+)?def\s+{re.escape(name)}\b", text, re.MULTILINE) is None:
        return f"its test {test} is gone: {file} has no {name}"
    return None
