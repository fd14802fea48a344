"""The document is valid OpenAPI 3.1, has every route, and says what the code says."""

import re
from functools import cache
from typing import Any, get_type_hints

from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from compatgw.admin.api import AdminApi
from compatgw.openapi.document import document
from compatgw.openapi.options import GatewayMembers, Options
from compatgw.surfaces import extensions
from compatgw.version import __version__
from compatgw.web import routes
from tests.pages.visiting import gateway, visitor


@cache
def whole() -> dict[str, Any]:
    """The document with everything in it."""
    return {**document(__version__, managed=True), "servers": [{"url": "http://site"}]}


def test_it_is_valid() -> None:
    """The specification's own schema has nothing to say against it, with the management API or without."""
    validate(whole(), cls=OpenAPIV31SpecValidator)
    validate(dict(document(__version__, managed=False)), cls=OpenAPIV31SpecValidator)


def test_every_surface_is_in_it() -> None:
    """Each path that the router knows is a path of the document, and the other way round."""
    known = {f"/v1{path}" for path in routes._SURFACE} | set(routes._OWN)
    known |= {"/v1/models/{id}", "/openapi.json", "/v1/responses/{id}"}
    known |= {"/v1/responses/{id}/input_items", "/v1/responses/{id}/cancel"}
    assert {path for path in whole()["paths"] if not path.startswith("/api/admin")} == known


def test_every_route_of_the_management_api_is_in_it() -> None:
    """Each route and method of the management API is an operation, and the other way round."""
    routes_of = AdminApi(None, None)._routes  # type: ignore[arg-type]
    known = {("/".join(route), method.lower()) for route, methods in routes_of for method in methods}
    told = {
        (re.sub(r"\{\w+\}", "*", path.removeprefix("/api/admin/")), method)
        for path, methods in whole()["paths"].items()
        if path.startswith("/api/admin/")
        for method in methods
    }
    # A door of its own, which stands without a ledger, too.
    assert told == known | {("reload", "post")}


def test_management_is_told_of_where_it_is() -> None:
    """A gateway without a ledger can read its settings again; it has no records to manage, nor tells of any."""
    told = [path for path in document(__version__, managed=False)["paths"] if path.startswith("/api/admin")]
    assert told == ["/api/admin/reload"]


def test_the_gateways_own_members_are_all_there() -> None:
    """The members that requests may have are those that the code reads."""
    assert set(get_type_hints(GatewayMembers)) == set(extensions.TOP_LEVEL) | {"gateway"}
    assert set(get_type_hints(Options)) == set(extensions.MEMBERS) | {"reasoning"}


def test_operations_can_be_generated_from() -> None:
    """Each operation has an id of its own, one tag, a summary, security, and answers for what always may fail."""
    operations = [each for methods in whole()["paths"].values() for each in methods.values()]
    ids = [each["operationId"] for each in operations]
    assert len(ids) == len(set(ids))
    for each in operations:
        assert len(each["tags"]) == 1
        assert each["summary"].endswith(".")
        assert "security" in each
        assert {"405", "500"} <= set(each["responses"])


def test_components_have_readable_names() -> None:
    """No name tells where in the code a shape stands, and no component is there twice or for nothing."""
    text = str(whole()["paths"]) + str(whole()["components"])
    for name in whole()["components"]["schemas"]:
        assert re.fullmatch(r"\w+", name)
        assert "__" not in name
        assert f"#/components/schemas/{name}'" in text, name


async def test_it_is_served_for_this_mount() -> None:
    """The server is the mount that was visited; anybody may read it, from any site."""
    async with visitor(gateway(name="Our gateway"), "/x/y") as client:
        answer = await client.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    found = answer.json()
    assert found["servers"] == [{"url": "http://site/x/y"}]
    assert found["info"] == {**whole()["info"], "title": "Our gateway"}
    validate(found, cls=OpenAPIV31SpecValidator)
