"""What every host is tried with: its recipe loaded at any path, an upstream, and the checks.

What does not live here: the servers (`conftest.py` of the tests, `__main__.py`), the recipes (`recipes/`).
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.canned import completion
from tests.gated import GatedUpstream

RECIPES = Path(__file__).parent / "recipes"
KEY = {"Authorization": "Bearer k"}
BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
WAIT = 10.0
_NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True)
class Host:
    """A framework.

    Attributes:
        name: As people call it.
        recipe: Its file.
        needs: Modules that may not be installed.
        root: It can have the gateway at `/`.
        wsgi: It runs under a WSGI server.
    """

    name: str
    recipe: str
    needs: tuple[str, ...]
    root: bool = False
    wsgi: bool = False


HOSTS: Mapping[str, Host] = MappingProxyType(
    {
        host.recipe.partition("_")[0]: host
        for host in (
            Host("FastAPI", "fastapi_app.py", ("fastapi",), root=True),
            Host("Starlette", "starlette_app.py", ("starlette",), root=True),
            Host("Litestar", "litestar_app.py", ("litestar",), root=True),
            Host("Quart", "quart_app.py", ("quart",)),
            Host("Django", "django_app.py", ("django",)),
            Host("BlackSheep", "blacksheep_app.py", ("blacksheep",)),
            Host("Flask", "flask_app.py", ("flask", "a2wsgi")),
            Host("WSGI", "wsgi_app.py", ("flask", "a2wsgi", "werkzeug"), wsgi=True),
        )
    }
)


def missing(host: Host) -> list[str]:
    """What a host needs and is not installed."""
    return [name for name in host.needs if importlib.util.find_spec(name) is None]


class Upstream:
    """Answers plain calls at once, streams event by event, and `fail` with a 500."""

    def __init__(self) -> None:
        self.gated = GatedUpstream()

    def fresh(self) -> GatedUpstream:
        """A stream of which nothing was let out yet."""
        self.gated = GatedUpstream()
        return self.gated

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        asked = json.loads(body)
        if asked.get("stream"):
            heard = iter([{"type": "http.request", "body": body}])

            async def again() -> Any:
                return next(heard, None) or await receive()

            await self.gated(scope, again, send)
            return
        failed = asked["model"] == "fail"
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 500 if failed else 200, "headers": head})
        await send({"type": "http.response.body", "body": b'{"error": {"message": "x"}}' if failed else completion()})


def write_recipe(host: Host, path: str, folder: Path) -> Path:
    """The file of a recipe that mounts at `path` instead of `/ai`."""
    text = (RECIPES / host.recipe).read_text("utf-8")
    assert '"/ai"' in text
    file = folder / f"recipe_{next(_NUMBERS)}_{host.recipe}"
    file.write_text(text.replace('"/ai"', json.dumps(path)), "utf-8")
    return file


def write_settings(upstream: str, folder: Path, **settings: Any) -> Path:
    """A `compatgw.toml` whose only provider is `upstream`."""
    lines = ['keys = ["k"]', "retries = {most = 0}"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in settings.items() if not isinstance(value, dict)]
    for name, value in settings.items():
        if isinstance(value, dict):
            lines += [f"[{name}]", *(f"{key} = {json.dumps(one)}" for key, one in value.items())]
    lines += ["[providers.local]", f'base_url = "{upstream}/v1"', 'auth = "none"']
    file = folder / "compatgw.toml"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def environment(settings: Path) -> dict[str, str]:
    """What a recipe's process finds in its environment."""
    return {"COMPATGW_CONFIG": str(settings), "DJANGO_SETTINGS_MODULE": "tests.hosts.django_site"}


def load(file: Path, settings: Path) -> ModuleType:
    """The recipe as a module of its own."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = dict(os.environ)
    os.environ.update(environment(settings))
    # Frameworks look annotations up in the module.
    sys.modules[file.stem] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[file.stem]
        os.environ.clear()
        os.environ.update(before)
    return module


# --- the checks: each takes the address of the mount, and raises where something is wrong ---


def delta(line: str) -> Any:
    """The delta of an event."""
    return json.loads(line.removeprefix("data: "))["choices"][0]["delta"]


def plain(base: str, upstream: Upstream) -> None:
    """An answer, with and without `/v1`, and with a slash too many."""
    for path in ("/v1/chat/completions", "/chat/completions", "/v1/chat/completions/"):
        answer = httpx.post(base + path, json=BODY, headers=KEY, timeout=WAIT)
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"] == "Hello"
    assert httpx.get(f"{base}/v1/models/a%2Fb%2Fc", headers=KEY, timeout=WAIT).json()["id"] == "a/b/c"


def stream(base: str, upstream: Upstream) -> None:
    """Every event reaches the client before the upstream sends the next one."""
    gate = upstream.fresh()
    gate.let(2)
    with httpx.stream(
        "POST", f"{base}/v1/chat/completions", json={**BODY, "stream": True}, headers=KEY, timeout=WAIT
    ) as got:
        assert got.status_code == 200, got.read()
        assert got.headers["content-type"] == "text/event-stream; charset=utf-8"
        lines = (line for line in got.iter_lines() if line)
        assert delta(next(lines)) == {"role": "assistant", "content": ""}
        assert delta(next(lines)) == {"content": "word1 "}
        for number in (2, 3, 4):
            gate.let()
            assert delta(next(lines)) == {"content": f"word{number} "}
        gate.let()
        assert [delta(next(lines)), *lines] == [{}, "data: [DONE]"]


def cancel(base: str, upstream: Upstream) -> None:
    """A client that leaves ends the call upstream."""
    gate = upstream.fresh()
    gate.let(2)
    with httpx.stream(
        "POST", f"{base}/v1/chat/completions", json={**BODY, "stream": True}, headers=KEY, timeout=WAIT
    ) as got:
        next(got.iter_lines())
    assert gate.closed.wait(WAIT), "the upstream was not told"


def written(base: str, upstream: Upstream) -> None:
    """Where nobody is told that a client left, what is written to it finds no taker; the call ends then."""
    gate = upstream.fresh()
    gate.let(2)
    with httpx.stream(
        "POST", f"{base}/v1/chat/completions", json={**BODY, "stream": True}, headers=KEY, timeout=WAIT
    ) as got:
        next(got.iter_lines())
    gate.let(2)
    assert gate.closed.wait(WAIT), "the upstream was not told"


def not_found(base: str, upstream: Upstream) -> None:
    """What is nowhere has our envelope under the mount, and never an answer beside it."""
    inside = httpx.get(f"{base}/v1/nothing", headers=KEY, timeout=WAIT)
    assert (inside.status_code, inside.json()["error"]["code"]) == (404, "unknown_endpoint")
    if base.count("/") > 2:
        assert httpx.get(f"{base}x/v1/models", headers=KEY, timeout=WAIT).status_code == 404


def envelope(base: str, upstream: Upstream) -> None:
    """Failures of the client, of the key and of the upstream are told in OpenAI's way."""
    url = f"{base}/v1/chat/completions"
    answers = [
        httpx.post(url, content=b"{", headers=KEY, timeout=WAIT),
        httpx.post(url, json=BODY, headers={"Authorization": "Bearer wrong"}, timeout=WAIT),
        httpx.get(url, headers=KEY, timeout=WAIT),
        httpx.post(url, json={**BODY, "model": "fail"}, headers=KEY, timeout=WAIT),
    ]
    assert [answer.status_code for answer in answers] == [400, 401, 405, 502]
    for answer in answers:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert answer.headers["x-request-id"].startswith("req_")


def status(base: str, upstream: Upstream) -> None:
    """What tells of the gateway is under the mount."""
    assert httpx.get(f"{base}/api/status", timeout=WAIT).json()["data"]["status"] == "up"
    assert httpx.get(f"{base}/healthz", timeout=WAIT).json() == {"status": "ok"}


def docs(base: str, upstream: Upstream) -> None:
    """Pages know this very mount, and find their style sheet below it; the console asks who comes."""
    # A host may have a page of its own at /docs.
    page = httpx.get(f"{base}/docs/models", timeout=WAIT)
    shown = re.search(r'data-root="([^"]*)"', page.text)
    assert shown is not None, page.text[:300]
    # What a proxy stripped on the way here stands before the mount in every address of the page.
    place = shown[1]
    assert place.endswith(urlsplit(base).path)
    sheet = re.search(r'href="([^"]+\.css[^"]*)"', page.text)
    assert sheet is not None
    assert sheet[1].startswith(f"{place}/")
    assert httpx.get(base + sheet[1].removeprefix(place), timeout=WAIT).status_code == 200
    assert 'name="key"' in httpx.get(f"{base}/console/login", timeout=WAIT).text


CHECKS: Mapping[str, Callable[[str, Upstream], None]] = MappingProxyType(
    {
        "plain": plain,
        "stream": stream,
        "cancel": cancel,
        "404": not_found,
        "error": envelope,
        "status": status,
        "docs": docs,
    }
)


def tried(base: str, upstream: Upstream, *, wsgi: bool = False) -> dict[str, str]:
    """What every check came to: `ok`, or what was wrong."""
    found = {}
    for name, check in CHECKS.items():
        try:
            (written if wsgi and check is cancel else check)(base, upstream)
        except (AssertionError, httpx.HTTPError, StopIteration, KeyError, ValueError) as error:
            found[name] = f"{type(error).__name__} {error}".partition("\n")[0][:200]
        else:
            found[name] = "ok"
    return found
