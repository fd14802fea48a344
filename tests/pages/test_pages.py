"""The public pages: what they hold, how they are guarded, and that nothing of a visitor's becomes markup."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from compatgw import ConfigError, Gateway
from compatgw.pages import words
from compatgw.pages.render import POLICY, redirect
from compatgw.providers.table import PROVIDERS
from tests.pages.visiting import PAGES, Page, gateway, visitor

ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</code></pre><svg onload=alert(1)>",
    "{{ 7777 * 7777 }}{% raw %}",
    "javascript:alert(1)",
    "\u202e<b>&lt;i&gt;",
)


def assert_harmless(text: str, attack: str) -> None:
    """The page has no element, attribute or address that it would not have without the attack."""
    page = Page(text)
    assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert {tag for tag, _ in page.elements}.isdisjoint({"img", "iframe", "object", "embed", "base", "b", "i"})
    assert [attributes.get("src") is not None for tag, attributes in page.elements if tag == "script"] == [True]
    assert all(not value.lower().startswith("javascript:") for value in page.values("href"))
    assert "60481729" not in page.text or "{{" not in attack or "{{ 7777 * 7777 }}" in page.text


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["en", "vi"])
async def test_pages_are_guarded(path: str, language: str) -> None:
    """Each page forbids what is not its own, frames included, in either language, and has at most 100 KB."""
    async with visitor(gateway()) as client:
        answer = await client.get(path, params={"lang": language})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["content-language"] == language
    assert len(answer.content) < 100_000
    page = Page(answer.text)
    assert page.elements[0] == ("html", page.elements[0][1])
    assert page.elements[0][1]["lang"] == language
    assert not page.values("style")
    assert not [tag for tag, _ in page.elements if tag == "style"]
    ids = page.values("id")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("root", ["", "/ai", "/x/y"])
async def test_every_address_is_of_this_mount(root: str) -> None:
    """All links, files and snippets lead to the mount that was visited; each page and file that is named is there."""
    async with visitor(gateway(), root) as client:
        pages = {path: (await client.get(path)).text for path in PAGES}
        named = {
            value
            for text in pages.values()
            for name in ("href", "src", "data-health")
            for value in Page(text).values(name)
        }
        for address in named:
            assert address.startswith((f"{root}/", "#", "?")), address
            if address.startswith("/") and "?" not in address.partition("?v=")[0]:
                answer = await client.get(f"http://site{address}")
                assert answer.status_code == 200, address
    assert f"http://site{root}/v1/chat/completions" in Page(pages["/docs"]).text


async def test_every_anchor_leads_somewhere() -> None:
    """A link within a page has its goal on that page."""
    async with visitor(gateway()) as client:
        for path in PAGES:
            page = Page((await client.get(path)).text)
            goals = set(page.values("id"))
            assert {value[1:] for value in page.values("href") if value.startswith("#")} <= goals


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("path", PAGES)
async def test_settings_show_as_text(path: str, attack: str) -> None:
    """The gateway's name, its support contact, and names of models, plans and providers are text, whatever is in them."""
    settings: dict[str, Any] = {
        "name": attack,
        "docs": {"support": attack},
        "models": {attack: "openai/gpt-4o"},
        "plans": {attack: {"requests": 1}},
        "vision": {"model": attack},
        "status_upstreams": True,
    }
    async with visitor(gateway(**settings)) as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    assert_harmless(answer.text, attack)
    assert attack in Page(answer.text).text


@pytest.mark.parametrize("attack", ATTACKS)
async def test_visits_show_as_text(attack: str) -> None:
    """Nothing of a visit becomes markup: not its host, nor its query, nor its cookies."""
    async with visitor(gateway()) as client:
        header = attack.encode("ascii", "ignore").decode()
        for path in PAGES:
            answer = await client.get(
                path,
                params={"lang": attack, "theme": attack, "chat": attack, "x": attack},
                headers={"host": header, "cookie": f"cgw_theme={header}; cgw_lang={header}", "accept-language": header},
            )
            assert answer.status_code == 200
            assert_harmless(answer.text, attack)
            assert header not in answer.headers.get("set-cookie", "")


async def test_a_host_that_is_none_is_not_repeated() -> None:
    """Where the Host header is no host's name, the server's own address stands in for it."""
    async with visitor(gateway()) as client:
        answer = await client.get("/docs", headers={"host": 'evil"><x>'})
        assert "evil" not in answer.text
        assert "http://site/v1" in Page(answer.text).text


async def test_the_operator_says_where_the_mount_is() -> None:
    """`docs.base_url` wins over what visitors used."""
    async with visitor(gateway(docs={"base_url": "https://api.example.com/ai/"})) as client:
        assert "https://api.example.com/ai/v1/chat/completions" in Page((await client.get("/docs")).text).text
        assert (await client.get("/openapi.json")).json()["servers"] == [{"url": "https://api.example.com/ai"}]
    with pytest.raises(ConfigError, match=r"docs\.base_url"):
        Gateway(environ={}, docs={"base_url": "https://x/'$(rm)'"})


async def test_pages_can_be_switched_off() -> None:
    """With `docs.enabled = false` there is nothing at `/docs`, in the envelope of the API."""
    async with visitor(gateway(docs={"enabled": False})) as client:
        for path in PAGES:
            answer = await client.get(path)
            assert answer.status_code == 404
            assert answer.json()["error"]["code"] == "unknown_endpoint"


async def test_models_can_be_hidden() -> None:
    """With `docs.models = false` no page names a model, and snippets show where one belongs."""
    async with visitor(gateway(docs={"models": False})) as client:
        answer = await client.get("/docs")
        assert "gpt-4o" not in answer.text
        assert "provider/model" in answer.text
        assert (await client.get("/docs/models")).status_code == 404


async def test_only_reading_is_allowed() -> None:
    """Other methods get 405 with those that are allowed; HEAD has headers alone."""
    async with visitor(gateway()) as client:
        refused = await client.post("/docs")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
        head = await client.head("/docs")
        assert (head.status_code, head.content) == (200, b"")
        assert (await client.get("/docs/nothing")).json()["error"]["code"] == "unknown_endpoint"


async def test_choices_are_kept_for_this_mount() -> None:
    """`?lang=` and `?theme=` are kept in cookies of this path alone, and obeyed by the next page."""
    async with visitor(gateway(), "/x/y") as client:
        answer = await client.get("/docs", params={"lang": "vi", "theme": "dark"})
        lines = answer.headers.get_list("set-cookie")
        assert sorted(line.partition(";")[0] for line in lines) == ["cgw_lang=vi", "cgw_theme=dark"]
        assert all("; Path=/x/y; SameSite=Lax; Max-Age=" in line for line in lines)
        page = Page((await client.get("/docs/models")).text)
        assert page.elements[0][1]["lang"] == "vi"
        assert page.elements[0][1]["data-theme"] == "dark"
        assert "set-cookie" not in (await client.get("/docs/models")).headers


async def test_a_model_is_chosen_without_script() -> None:
    """`?chat=` rewrites every snippet; a model that is not there does not."""
    async with visitor(gateway()) as client:
        chosen = Page((await client.get("/docs", params={"chat": "cohere/command-a-03-2025"})).text)
        assert '"model": "cohere/command-a-03-2025"' in chosen.text
        assert "not-there" not in (await client.get("/docs", params={"chat": "not-there"})).text.partition("<main")[2]


async def test_the_error_table_has_every_code() -> None:
    """Every status, type and code of the table stands on the page with its fix."""
    async with visitor(gateway()) as client:
        text = Page((await client.get("/docs")).text).text
    for word in (
        "context_length_exceeded",
        "rate_limit_exceeded",
        "upstream_stream_interrupted",
        "insufficient_balance",
    ):
        assert word in text


async def test_models_say_what_they_are() -> None:
    """A row has provider, way, context, price and abilities; a translated model is called so."""
    async with visitor(gateway()) as client:
        text = (await client.get("/docs/models")).text
    rows = {
        re.sub(r"<[^>]+>", " ", row).split()[0]: re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row))
        for row in re.findall(r"<tr><th scope=\"row\">.*?</tr>", text, re.DOTALL)
    }
    assert rows["openai/gpt-4o"].split()[1:3] == ["OpenAI", "native"]
    assert "128,000 16,384 2.50 10.00 yes yes yes yes" in rows["openai/gpt-4o"]
    assert "translated" in rows["anthropic/claude-sonnet-4-5"]


async def test_the_management_api_has_a_page_where_it_is(empty_ledger: Callable[[str], str]) -> None:
    """With a ledger the reference has a page of the management API; without one neither link nor page is there."""
    group = {"group": "management"}
    async with visitor(gateway(state={"ledger": empty_ledger("sqlite")})) as client:
        assert "group=management" in (await client.get("/docs/api")).text
        answer = await client.get("/docs/api", params=group)
        assert "/api/admin/keys/{key}/rotate" in Page(answer.text).text
        assert "/v1/chat/completions" not in answer.text
        assert len(answer.content) < 100_000
    async with visitor(gateway()) as client:
        assert "group=management" not in (await client.get("/docs/api")).text
        assert (await client.get("/docs/api", params=group)).status_code == 404


async def test_pages_stay_small_with_every_provider() -> None:
    """With all providers there are, no page has more than 100 KB in any language."""
    apart = ("vertex", "vertex-anthropic", "vertex-openai")
    own = {
        "api_key": "a:b:c",
        "base_url": "http://localhost:1/v1",
        "region": "us-east-1",
        "project": "p",
        "account": "a",
    }
    everything = {name: own for name in PROVIDERS if name not in apart}
    async with visitor(gateway(providers=everything)) as client:
        for path in PAGES:
            for language in words.LANGUAGES:
                answer = await client.get(path, params={"lang": language})
                assert answer.status_code == 200
                assert len(answer.content) < 100_000, (path, language)


async def test_a_gateway_without_providers_says_what_to_do() -> None:
    """Without a provider the pages are there, the state is down, and the next step is said."""
    async with visitor(Gateway(environ={}, keys=["k"])) as client:
        assert "OPENAI_API_KEY" in (await client.get("/docs/models")).text
        assert (await client.get("/docs")).status_code == 200
        assert (await client.get("/api/status")).json()["data"]["health"] == "down"


async def test_files_are_kept_for_ever_under_their_content() -> None:
    """A file that is asked for by its digest is immutable; without it, it is asked for anew; a known one is 304."""
    async with visitor(gateway()) as client:
        (address,) = [v for v in Page((await client.get("/docs")).text).values("href") if "pages.css" in v]
        exact = await client.get(address)
        assert "immutable" in exact.headers["cache-control"]
        assert exact.headers["content-type"] == "text/css; charset=utf-8"
        loose = await client.get("/assets/pages.css")
        assert loose.headers["cache-control"] == "no-cache"
        known = await client.get("/assets/pages.css", headers={"if-none-match": loose.headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")
        for name in ("nothing.css", "../render.py", "%2e%2e/render.py", ""):
            assert (await client.get(f"/assets/{name}")).status_code == 404


async def test_redirects_stay_in_the_mount() -> None:
    """A redirect to another host is refused before it is sent."""
    for path in ("https://evil", "//evil", "/\\evil", "evil"):
        with pytest.raises(ValueError, match="no path"):
            await redirect(None, path)  # type: ignore[arg-type]


async def test_support_links_only_what_is_one() -> None:
    """An https address is a link; anything else, a script's too, is text."""
    async with visitor(gateway(docs={"support": "https://help.example.com/a?b=c"})) as client:
        assert "https://help.example.com/a?b=c" in Page((await client.get("/docs")).text).values("href")
    async with visitor(gateway(docs={"support": "help@example.com"})) as client:
        assert "help@example.com" in Page((await client.get("/docs")).text).text
