"""The one path algorithm, over every shape that hosts and servers were measured to give."""

import pytest

from compatgw.web.paths import Place, place_of, tail_of


@pytest.mark.parametrize(
    ("path", "root_path", "expected"),
    [
        ("/v1/models", "", Place("", "/v1/models")),
        ("/ai/v1/models", "/ai", Place("/ai", "/v1/models")),  # Starlette, FastAPI, Quart, Django, BlackSheep
        ("/v1/models/anthropic/claude-4/", "", Place("", "/v1/models/anthropic/claude-4")),  # Litestar
        ("/ai/v1/models", "/proxy/ai", Place("/proxy/ai", "/v1/models")),  # FastAPI(root_path="/proxy")
        ("/proxy/ai/v1/models", "/proxy/ai", Place("/proxy/ai", "/v1/models")),
        ("/v1/models", "/proxy", Place("/proxy", "/v1/models")),  # granian, hypercorn, daphne
        ("/ai", "/ai", Place("/ai", "/")),
        ("/ai/", "/ai", Place("/ai", "/")),
        ("/ai/v1", "/ai/", Place("/ai", "/v1")),
        ("//v1/models", "", Place("", "/v1/models")),
        ("/ai//v1/models", "/ai", Place("/ai", "/v1/models")),
        ("/aix/v1", "/ai", Place("/ai", "/aix/v1")),  # hypercorn's prefix leak: no route of ours
        ("/aix/v1", "/a", Place("/a", "/aix/v1")),  # BlackSheep's
        ("/", "", Place("", "/")),
        ("/v1/models//", "", Place("", "/v1/models")),
    ],
)
def test_a_route_is_found_whatever_the_host_makes_of_the_prefix(path: str, root_path: str, expected: Place) -> None:
    """Mounts that keep, strip or misname their prefix all lead to the same route."""
    assert place_of({"path": path, "root_path": root_path}) == expected


def test_a_path_without_a_leading_slash_is_outside_of_the_mount() -> None:
    """Litestar's prefix match hands over the rest of a longer name."""
    assert place_of({"path": "x/v1/", "root_path": ""}) is None


@pytest.mark.parametrize(
    ("path", "raw_path", "root_path", "expected"),
    [
        ("v1/models/", b"/v1/models", "", Place("", "/v1/models")),
        ("v1/models/a/b/", b"/v1/models/a%2Fb?x=1", "", Place("", "/v1/models/a/b")),
        ("v1/models/", b"/proxy/v1/models", "/proxy", Place("/proxy", "/v1/models")),
        ("x/v1/models/", b"/aix/v1/models", "", None),
    ],
)
def test_a_mount_at_the_root_may_lose_its_slash(
    path: str, raw_path: bytes, root_path: str, expected: Place | None
) -> None:
    """Litestar cuts it off there; the raw path tells that from the rest of a longer name."""
    assert place_of({"path": path, "raw_path": raw_path, "root_path": root_path}) == expected


@pytest.mark.parametrize(
    ("path", "raw_path", "expected"),
    [
        ("/v1/models/", b"/ai/v1/models", Place("/ai", "/v1/models")),
        ("/docs/", b"/a/b/docs/?lang=vi", Place("/a/b", "/docs")),
        ("/", b"/ai", Place("/ai", "/")),
        ("/v1/models/a b/", b"/my%20ai/v1/models/a%20b", Place("/my ai", "/v1/models/a b")),
        ("/v1/models/a b", b"/v1/models/a%20b", Place("", "/v1/models/a b")),
        ("/docs", b"/docs?and=more", Place("", "/docs")),
        ("/docs/", b"/ai/other/way", Place("", "/docs")),
    ],
)
def test_a_mount_that_is_named_nowhere_is_in_the_raw_path(path: str, raw_path: bytes, expected: Place) -> None:
    """Litestar cuts it off; pages have to lead back below it."""
    assert place_of({"path": path, "raw_path": raw_path, "root_path": ""}) == expected


def test_a_scope_without_root_path_is_understood() -> None:
    """Servers may leave the key out."""
    assert place_of({"path": "/v1/models"}) == Place("", "/v1/models")


@pytest.mark.parametrize(
    ("path", "raw_path", "expected"),
    [
        ("/v1/models/anthropic/claude-4", b"/v1/models/anthropic%2Fclaude-4", "anthropic/claude-4"),
        ("/v1/models/anthropic/claude-4", None, "anthropic/claude-4"),
        ("/v1/models/a%b", b"/ai/v1/models/a%25b?x=1", "a%b"),
        ("/v1/models/a%2Fb", b"/v1/models/a%252Fb", "a%2Fb"),
    ],
)
def test_a_model_id_is_decoded_exactly_once(path: str, raw_path: bytes | None, expected: str) -> None:
    """Ids hold slashes, raw or encoded, and may hold a percent sign of their own."""
    scope = {"path": path} if raw_path is None else {"path": path, "raw_path": raw_path}
    assert tail_of(scope, path, "/models/") == expected
