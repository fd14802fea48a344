"""From a template to an answer: what every page of ours knows, and the headers that guard it.

    await page(site, visit, "models.html", rows=rows)

A template has, beside what it is given: `t(key, **values)` (a text), `m(key, **values)` (the same with what
stands between backticks as code), `url(path)` (an address within this mount), `asset(name)`, `number(value)`,
`lang`, `languages`, `theme`, `themes`, `name` (of the gateway), `version`, `root`, `base_url` (of the API,
with /v1), `home` (where this mount is), `route`, and `switch(name, value)`, the address of this very page in another
language or theme.
Whatever is shown is escaped; a name that is not there fails the page, and with it the tests.

What does not live here: texts (`words.py`), any one page, files (`static.py`).
"""

from __future__ import annotations

import re
from functools import cache, partial
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from compatgw.pages import static, words
from compatgw.web.origin import home_of, root_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compatgw.web.site import Site
    from compatgw.web.visit import Visit

HTML = "text/html; charset=utf-8"
LANGUAGE_COOKIE = "cgw_lang"
THEME_COOKIE = "cgw_theme"
THEMES = ("auto", "light", "dark")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere, nothing inline, and in nobody's frame."""
GUARDS: tuple[tuple[str, str], ...] = (
    ("Content-Security-Policy", POLICY),
    ("X-Frame-Options", "DENY"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()"),
)
"""Headers of every page."""

_YEAR = 365 * 86_400
_CODE = re.compile(r"`([^`]*)`")


class View(NamedTuple):
    """What a visit says of how it wants its pages.

    Attributes:
        language: Code of one of `words.LANGUAGES`.
        theme: One of `THEMES`.
        home: Where this gateway is mounted, as the visitor reaches it, without a slash at its end.
        root: The path of that alone, fit for an address.
        keep: `Set-Cookie` lines of what was chosen just now.
    """

    language: str
    theme: str
    home: str
    root: str
    keep: tuple[tuple[str, str], ...]


@cache
def environment() -> Environment:
    """Where templates come from: read and compiled once."""
    made = Environment(
        loader=PackageLoader("compatgw.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.policies["json.dumps_kwargs"] = {"sort_keys": False}
    return made


def view_of(visit: Visit, public: str | None = None) -> View:
    """How this visit wants its pages.

    Args:
        public: Where the operator says that the mount is; else it is what the visit itself used.
    """
    query, kept = visit.query(), cookies(visit)
    language = words.chosen(query.get("lang"), kept.get(LANGUAGE_COOKIE), visit.header("accept-language"))
    theme = query.get("theme", kept.get(THEME_COOKIE, "auto"))
    theme = theme if theme in THEMES else "auto"
    keep = [
        cookie(visit, name, value)
        for asked, name, value in (("lang", LANGUAGE_COOKIE, language), ("theme", THEME_COOKIE, theme))
        if asked in query
    ]
    return View(language, theme, home_of(visit, public), root_of(visit), tuple(keep))


def cookies(visit: Visit) -> Mapping[str, str]:
    """The cookies of a visit; none where they cannot be read."""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(visit.header("cookie") or "")
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


def cookie(
    visit: Visit, name: str, value: str, *, age: int | None = _YEAR, http_only: bool = False, strict: bool = False
) -> tuple[str, str]:
    """A `Set-Cookie` line for this mount alone.

    Args:
        age: Seconds that it is kept; None: until the browser is closed.
        http_only: No script may read it.
        strict: Sent with no request that another site began.
    """
    site = "Strict" if strict else "Lax"
    parts = [f"{name}={value}", f"Path={root_of(visit) or '/'}", f"SameSite={site}"]
    if age is not None:
        parts.append(f"Max-Age={age}")
    if visit.scope.get("scheme") == "https":
        parts.append("Secure")
    if http_only:
        parts.append("HttpOnly")
    return "Set-Cookie", "; ".join(parts)


def marked(language: str, key: str, /, **values: object) -> Markup:
    """A text with what stands between backticks as code; the values are escaped like all of it."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(words.text(language, key, **values)))))  # noqa: S704


def rendered(site: Site, visit: Visit, template: str, context: Mapping[str, Any], view: View | None = None) -> bytes:
    """A page as bytes."""
    view = view or view_of(visit, site.house.settings.docs.base_url)
    shared = {
        "t": partial(words.text, view.language),
        "m": partial(marked, view.language),
        "number": partial(words.number, view.language),
        "url": partial(_url, view.root),
        "asset": partial(_asset, view.root),
        "switch": partial(_switch, view.root + quote(visit.route, safe="/"), visit.query()),
        "lang": view.language,
        "languages": words.LANGUAGES,
        "theme": view.theme,
        "themes": THEMES,
        "name": site.house.settings.name,
        "version": site.version,
        "root": view.root,
        "home": view.home,
        "base_url": view.home + "/v1",
        "route": visit.route,
        "docs": site.house.settings.docs,
    }
    return environment().get_template(template).render({**shared, **context}).encode("utf-8", "replace")


async def page(
    site: Site,
    visit: Visit,
    template: str,
    /,
    *,
    status: int = 200,
    headers: Iterable[tuple[str, str]] = (),
    **context: Any,
) -> None:
    """Answers a visit with a template.

    Args:
        template: Its file below `templates/`.
        status: Of the answer.
        headers: Further ones. Without a `Cache-Control` among them the page is asked for anew each time.
        context: What the template has beside what all of them have.
    """
    view = view_of(visit, site.house.settings.docs.base_url)
    body = rendered(site, visit, template, context, view)
    given = tuple(headers)
    lines = [*GUARDS, ("Content-Language", view.language), *view.keep, *given]
    if not any(name.lower() == "cache-control" for name, _ in given):
        lines.append(("Cache-Control", "no-cache"))
    await visit.answer(status, (*lines, ("Vary", "Accept-Language, Cookie")), body, HTML)


async def redirect(visit: Visit, path: str, headers: Iterable[tuple[str, str]] = ()) -> None:
    """Sends a browser on by GET to another page of ours.

    Args:
        path: Within this mount, beginning with one slash.
        headers: Further ones.

    Raises:
        ValueError: The path leads out of the mount.
    """
    if not path.startswith("/") or path.startswith(("//", "/\\")):
        raise ValueError(f"{path!r} is no path within the mount.")
    location = _url(root_of(visit), path)
    await visit.answer(303, (("Location", location), ("Cache-Control", "no-store"), *GUARDS, *headers), b"", HTML)


def _url(root: str, path: str, /, **query: str) -> str:
    return root + quote(path, safe="/~!$&'()*+,;=:@%?#") + (f"?{urlencode(query)}" if query else "")


def _asset(root: str, name: str) -> str:
    return f"{root}/assets/{name}?v={static.found(name).digest}"


def _switch(here: str, query: Mapping[str, str], name: str, value: str) -> str:
    return f"{here}?{urlencode({**query, name: value})}"
