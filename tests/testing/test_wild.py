"""Whatever stands in whichever place of a request: the three vendors' fakes answer it or refuse it, and never break."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compatgw_testing import Fake, FakeCohere, FakeGemini
from tests.testing.anthropic import places as anthropic
from tests.testing.anthropic.cases import COUNT, counted
from tests.testing.changed import MISSING, changed
from tests.testing.cohere import places as cohere
from tests.testing.gemini import places as gemini
from tests.testing.gemini.cases import EMBEDDER, TEXT, path
from tests.testing.surfaces import put

GOOD: dict[str, tuple[Any, str, Any]] = {
    "a message": (anthropic.fake, "/v1/messages", anthropic.GOOD),
    "a count": (anthropic.fake, COUNT, counted(messages=anthropic.GOOD["messages"], tools=anthropic.GOOD["tools"])),
    "one embedding": (FakeGemini, path("embedContent", EMBEDDER), {"content": TEXT, "taskType": "CLUSTERING"}),
    **{f"gemini {name}": (FakeGemini, *one) for name, one in gemini.GOOD.items()},
    **{f"cohere {name}": (FakeCohere, *one) for name, one in cohere.GOOD.items()},
}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(("", "a", "type", "text", "user", "tool_result", "data:image/png;base64,AAAA", "image_url")),
    lambda parts: (
        st.lists(parts, max_size=3) | st.dictionaries(st.sampled_from(("type", "text", "a")), parts, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any, at: str = "") -> Iterator[str]:
    """Every place in a value but the whole."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in members:
        where = f"{at}.{name}" if at else str(name)
        yield where
        yield from places(one, where)


@pytest.mark.parametrize("name", GOOD)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), strict=st.booleans())
async def test_nothing_breaks(name: str, data: st.DataObject, strict: bool) -> None:
    """One place changed at random, or taken out, or the whole body, strict or not."""
    make, where, good = GOOD[name]
    place = data.draw(st.sampled_from(("", *places(good))))
    value = data.draw(VALUES | st.just(MISSING)) if place else data.draw(VALUES)
    fake: Fake = make()
    fake.strict = strict

    reply = await put(fake, where, changed(good, place, value))

    assert reply.status in (200, 400, 404, 422), reply.raw
    assert reply.failure is None
