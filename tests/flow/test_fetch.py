"""Links that a gateway fetches for a caller, over real sockets and TLS, and the many that it does not.

What does not live here: spellings of addresses and links (`tests/policy/test_fetching.py`).
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from compatgw.dialects.base import Quirks, Target
from compatgw.dialects.table import DIALECTS
from compatgw.errors import InvalidRequest
from compatgw.flow.fetch import Fetcher, inlined, needs_fetching
from compatgw.policy.fetching import Rules, networks
from compatgw.upstream.fetching import Getter, SystemNames
from compatgw_testing import FakeLLM
from compatgw_testing.harness import KEY, gateway_over
from tests.flow.far import INSIDE, PNG, PUBLIC, Authority, Far, Names, authority, ok, to

PDF = b"%PDF-1.7\n" + b"x" * 40
OPENAI = DIALECTS["openai"]
BLIND = Target("Vendor", "m", quirks=Quirks(image_urls=False))
SECRET = b"the-inner-secret"


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority whose certificates are believed."""
    return authority(tmp_path_factory.mktemp("tls"))


def rules(*servers: Far, **members: Any) -> Rules:
    """Rules that let in `PUBLIC` and the servers' ports."""
    ports = frozenset(server.port for server in servers)
    return Rules(**{"networks": networks([f"{PUBLIC}/32"]), "ports": ports, "http": True, "timeout": 5.0, **members})


def names(**more: list[list[str]]) -> Names:
    """A name service that knows `img.test`."""
    return Names({"img.test": [[PUBLIC]], **more})


def asking(*urls: str, files: tuple[str, ...] = ()) -> Any:
    """A request with these images and files."""
    parts: list[Any] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    parts += [{"type": "file", "file": {"file_data": url}} for url in files]
    return {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, *parts]}]}


async def fetched(request: Any, fetcher: Fetcher) -> list[Any]:
    """The parts of the request after its text, once inlined for an upstream that fetches nothing."""
    before = repr(request)
    changed: Any = await inlined(request, OPENAI, BLIND, fetcher)
    assert repr(request) == before, "the argument was changed"
    found: list[Any] = changed["messages"][0]["content"][1:]
    return found


async def refused(request: Any, fetcher: Fetcher, param: str = "messages[0].content[1].image_url.url") -> str:
    """What the caller is told of a link that does not come."""
    with pytest.raises(InvalidRequest) as failure:
        await inlined(request, OPENAI, BLIND, fetcher)
    error = failure.value
    assert (error.status, error.type, error.code, error.param) == (400, "invalid_request_error", "invalid_value", param)
    assert error.message.startswith(f"'{param}' ")
    assert "data URL" in error.message
    for shown in (PUBLIC, INSIDE, "169.254", SECRET.decode(), "127.0.0"):
        assert shown not in error.message
    return error.message


def url(data: bytes, kind: str) -> str:
    """A data URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


# --- what comes ---


async def test_images_and_files_come_over_tls_as_data_urls(trust: Authority) -> None:
    """By name, checked against the name's certificate, with the name as Host and nothing that could identify a caller."""
    answers: Any = {"/a.png": ok(PNG), "/b/My%20Doc.pdf": ok(PDF, "application/pdf")}
    async with Far(answers, trust.serving("img.test")) as far:
        base = f"https://img.test:{far.port}"
        fetcher = Fetcher(Getter(tls=trust.trusting, resolve=names()), rules(far))
        found = await fetched(asking(f"{base}/a.png", files=(f"{base}/b/My%20Doc.pdf?x=1",)), fetcher)
        assert found == [
            {"type": "image_url", "image_url": {"url": url(PNG, "image/png")}},
            {"type": "file", "file": {"filename": "My Doc.pdf", "file_data": url(PDF, "application/pdf")}},
        ]
        for head in far.asked:
            assert f"host: img.test:{far.port}\r\n".encode() in head.lower()
            assert b"cookie" not in head.lower()
            assert b"authorization" not in head.lower()


async def test_a_link_to_an_address_is_checked_against_the_certificate_of_that_address(trust: Authority) -> None:
    """Without any name there is nothing to look up."""
    async with Far({"/": ok(PNG)}, trust.serving(PUBLIC)) as far:
        looked = names()
        fetcher = Fetcher(Getter(tls=trust.trusting, resolve=looked), rules(far))
        assert await fetched(asking(f"https://{PUBLIC}:{far.port}/"), fetcher)
        assert looked.asked == []


async def test_one_link_is_fetched_once_for_a_call_however_often_it_stands_there() -> None:
    """Also when a second attempt goes to another upstream."""
    async with Far({"/a": ok(PNG)}) as far:
        link = f"http://img.test:{far.port}/a"
        fetcher = Fetcher(Getter(resolve=names()), rules(far))
        found = await fetched(asking(link, link, files=(link,)), fetcher)
        again = await fetched(asking(link), fetcher)
        assert len(far.asked) == 1
        assert found[0] == found[1] == again[0]
        assert found[2]["file"] == {"filename": "a", "file_data": url(PNG, "image/png")}


async def test_redirects_are_followed_and_each_name_is_looked_up() -> None:
    """Three of them, relative and absolute."""
    answers: Any = {"/1": to("/2", 301), "/2": to("3", 307), "/4": ok(PNG)}
    async with Far(answers) as far:
        answers["/3"] = to(f"http://cdn.test:{far.port}/4", 308)
        looked = names(**{"cdn.test": [[PUBLIC]]})
        await fetched(asking(f"http://img.test:{far.port}/1"), Fetcher(Getter(resolve=looked), rules(far)))
        assert looked.asked == ["img.test", "img.test", "img.test", "cdn.test"]


async def test_an_address_out_of_reach_is_passed_over() -> None:
    """A name with several addresses is reached at one that answers."""
    async with Far({"/": ok(PNG)}) as far:
        looked = names(**{"img.test": [["127.0.0.7", PUBLIC]]})
        let = rules(far, networks=networks([f"{PUBLIC}/32", "127.0.0.7/32"]))
        assert await fetched(asking(f"http://img.test:{far.port}/"), Fetcher(Getter(resolve=looked), let))


async def test_at_most_four_links_are_under_way_at_one_time() -> None:
    """However many a request holds."""
    full, go = asyncio.Event(), asyncio.Event()

    async def wait(writer: asyncio.StreamWriter) -> None:
        if far.open == 4:
            full.set()
        await go.wait()
        writer.write(ok(PNG))

    far = Far({f"/{number}": wait for number in range(9)})
    async with far:
        links = [f"http://img.test:{far.port}/{number}" for number in range(9)]
        task = asyncio.create_task(fetched(asking(*links), Fetcher(Getter(resolve=names()), rules(far))))
        await asyncio.wait_for(full.wait(), 5)
        assert far.connections == 4
        go.set()
        assert len(await task) == 9
        assert far.most == 4


async def test_a_packed_answer_is_unpacked() -> None:
    """Some servers pack whatever is asked of them."""
    answers: Any = {
        "/gzip": ok(gzip.compress(PNG), "image/png", "Content-Encoding: gzip"),
        "/deflate": ok(zlib.compress(PNG), "image/png", "Content-Encoding: deflate"),
    }
    async with Far(answers) as far:
        links = [f"http://img.test:{far.port}{path}" for path in answers]
        found = await fetched(asking(*links), Fetcher(Getter(resolve=names()), rules(far)))
        assert [part["image_url"]["url"] for part in found] == [url(PNG, "image/png")] * 2


# --- where nobody may go ---


async def test_a_redirect_to_a_metadata_service_is_refused() -> None:
    """By address, by name, in decimal; nobody is asked there."""
    for location in (
        "http://169.254.169.254/latest/meta-data/",
        "//169.254.169.254/",
        "http://2852039166/",
        "http://metadata.test/",
        "http://[fd00:ec2::254]/",
        f"http://{INSIDE}/",
    ):
        async with Far({"/": to(location)}) as far:
            looked = names(**{"metadata.test": [["169.254.169.254"]]})
            await refused(asking(f"http://img.test:{far.port}/"), Fetcher(Getter(resolve=looked), rules(far)))
            assert far.connections == 1


async def test_a_name_that_changes_its_address_gains_nothing() -> None:
    """What was judged is what is connected to; the name is looked up once."""
    async with (
        Far({"/": ok(PNG)}) as far,
        Far({"/": ok(PNG + SECRET)}, address=INSIDE, port=far.port) as inside,
    ):
        looked = names(**{"img.test": [[PUBLIC], [INSIDE]]})
        fetcher = Fetcher(Getter(resolve=looked), rules(far))
        (part,) = await fetched(asking(f"http://img.test:{far.port}/"), fetcher)
        assert part["image_url"]["url"] == url(PNG, "image/png")
        assert looked.asked == ["img.test"]
        assert inside.connections == 0


async def test_a_name_that_changes_its_address_between_redirects_is_judged_again() -> None:
    """The second answer of the name service is not let in."""
    async with Far({"/": to("/again")}) as far, Far({"/again": ok(PNG)}, address=INSIDE, port=far.port) as inside:
        looked = names(**{"img.test": [[PUBLIC], [INSIDE]]})
        told = await refused(asking(f"http://img.test:{far.port}/"), Fetcher(Getter(resolve=looked), rules(far)))
        assert "not public" in told
        assert inside.connections == 0


@pytest.mark.parametrize(
    "found",
    [[INSIDE], ["10.0.0.1"], [PUBLIC, INSIDE], ["::ffff:127.0.0.6"], ["fe80::1%lo"], ["::1"], ["169.254.169.254"], []],
)
async def test_a_name_that_stands_for_something_inside_is_refused(found: list[str]) -> None:
    """Also when a public address stands beside it."""
    async with Far({"/": ok(PNG)}, address=INSIDE) as inside:
        looked = names(**{"img.test": [found]})
        await refused(asking(f"http://img.test:{inside.port}/"), Fetcher(Getter(resolve=looked), rules(inside)))
        assert inside.connections == 0


async def test_the_systems_own_names_for_this_machine_are_refused() -> None:
    """With the real name service."""
    async with Far({"/": ok(PNG)}, address="127.0.0.1") as inside:
        for host in ("localhost", "LOCALHOST.", "127.0.0.1", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"):
            fetcher = Fetcher(Getter(), rules(inside))
            await refused(asking(f"http://{host}:{inside.port}/"), fetcher)
        assert inside.connections == 0


async def test_names_that_take_for_ever_hold_up_no_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look-ups have threads of their own, however many of them hang; those of everybody else stay free."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **members: release.wait(10) and [])
    looked = SystemNames()
    try:
        waiting = [asyncio.create_task(looked("slow.test", 443)) for _ in range(100)]
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 5) == "free"
        assert sum(thread.name.startswith("compatgw-names") for thread in threading.enumerate()) <= 8
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting, timeout=5)
        assert all(task.cancelled() for task in waiting)
    finally:
        release.set()
        looked.close()


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would look the name up again."""
    async with Far({"/": ok(PNG)}) as far, Far({}, address=INSIDE) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://{INSIDE}:{proxy.port}")
        assert await fetched(asking(f"http://img.test:{far.port}/"), Fetcher(Getter(resolve=names()), rules(far)))
        assert proxy.connections == 0


async def test_another_names_certificate_is_not_taken(trust: Authority) -> None:
    """Nor one of an authority that nobody knows."""
    async with Far({"/": ok(PNG)}, trust.serving("other.test", PUBLIC)) as far:
        link = f"https://img.test:{far.port}/"
        told = await refused(asking(link), Fetcher(Getter(tls=trust.trusting, resolve=names()), rules(far)))
        assert "certificate" in told
        assert "certificate" in await refused(asking(link), Fetcher(Getter(resolve=names()), rules(far)))
        assert far.asked == []


# --- what does not come ---


async def test_endless_redirects_end_after_three() -> None:
    """A circle and an endless row are told alike."""
    async with Far({"/": to("/")}) as far:
        told = await refused(asking(f"http://img.test:{far.port}/"), Fetcher(Getter(resolve=names()), rules(far)))
        assert "more than 3 times" in told
        assert far.connections == 4


async def _drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n")
    while True:
        writer.write(b"\x89")
        await writer.drain()
        await asyncio.sleep(0.01)


async def _drip_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def _silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("answer", [_drip, _drip_head, _silence])
async def test_a_server_that_takes_for_ever_is_left(answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> None:
    """One time-out holds for all of it, however the bytes come."""
    async with Far({"/": answer}) as far:
        fetcher = Fetcher(Getter(resolve=names()), rules(far, timeout=0.2))
        told = await refused(asking(f"http://img.test:{far.port}/"), fetcher)
        assert "within 0.2 seconds" in told


async def test_a_name_service_that_hangs_is_left() -> None:
    """Its wait counts, too."""

    async def never(host: str, port: int) -> Any:
        await asyncio.Event().wait()

    await refused(asking("https://img.test/"), Fetcher(Getter(resolve=never), Rules(timeout=0.05)))


async def _endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n" + PNG)
    while True:
        writer.write(b"\x00" * 65536)
        await writer.drain()


async def test_a_body_that_is_too_large_is_given_up_early() -> None:
    """Whether its length was said before or not; the memory stays flat."""
    said = ok(PNG).replace(b"Content-Length: 32", b"Content-Length: 99999999999")
    async with Far({"/said": said, "/unsaid": _endless}) as far:
        tracemalloc.start()
        for path in ("/said", "/unsaid"):
            fetcher = Fetcher(Getter(resolve=names()), rules(far, max_bytes=1 << 20))
            told = await refused(asking(f"http://img.test:{far.port}{path}"), fetcher)
            assert "1048576 bytes" in told
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
        tracemalloc.stop()


async def test_all_files_of_a_call_have_one_bound() -> None:
    """Each alone would do."""
    async with Far({f"/{n}": ok(PNG + b"\x00" * 968) for n in range(4)}) as far:
        links = [f"http://img.test:{far.port}/{n}" for n in range(4)]
        fetcher = Fetcher(Getter(resolve=names()), rules(far, max_call=3500))
        with pytest.raises(InvalidRequest, match="together with the other links"):
            await inlined(asking(*links), OPENAI, BLIND, fetcher)


async def test_a_small_answer_that_unpacks_to_a_huge_one_is_given_up() -> None:
    """No more is unpacked than would be taken."""
    bomb = gzip.compress(PNG + b"\x00" * (200 << 20), 9)
    async with Far({"/": ok(bomb, "image/png", "Content-Encoding: gzip")}) as far:
        tracemalloc.start()
        fetcher = Fetcher(Getter(resolve=names()), rules(far, max_bytes=1 << 20))
        assert "1048576 bytes" in await refused(asking(f"http://img.test:{far.port}/"), fetcher)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 16\r\n\r\n" + SECRET, "status 404"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "status 204"),
        (b"HTTP/1.1 206 Partial\r\nContent-Length: 16\r\n\r\n" + SECRET, "status 206"),
        (ok(b"<html>" + SECRET, "text/html"), "web page"),
        (ok(SECRET, "image/png"), "no image"),
        (ok(PDF, "image/png"), "another type"),
        (ok(b""), "empty"),
        (ok(PNG)[:-1], "broke off"),
        (SECRET, "broke off"),
        (b"", "broke off"),
        (ok(gzip.compress(PNG)[:-9], "image/png", "Content-Encoding: gzip"), "broke off"),
        (ok(PNG, "image/png", "Content-Encoding: gzip"), "unpacked"),
        (ok(PNG, "image/png", "Content-Encoding: br"), "encoding"),
        (ok(PNG, "image/png", "Content-Encoding: gzip, gzip"), "encoding"),
        (to(""), "nowhere"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 300_000 + b"\r\n\r\n", "broke off"),
    ],
)
async def test_an_answer_that_is_no_image_is_told_without_showing_it(answer: bytes, told: str) -> None:
    """Statuses, web pages, wrong types, broken and packed answers."""
    async with Far({"/": answer}) as far:
        fetcher = Fetcher(Getter(resolve=names()), rules(far))
        assert told in await refused(asking(f"http://img.test:{far.port}/"), fetcher)


async def test_nobody_listening_is_told() -> None:
    """As a server out of reach."""
    async with Far({}) as far:
        pass
    fetcher = Fetcher(Getter(resolve=names()), rules(far))
    assert "cannot be reached" in await refused(asking(f"http://img.test:{far.port}/"), fetcher)


async def test_when_one_link_fails_the_others_are_left_at_once() -> None:
    """Nobody needs them any more; the first that failed is told with its own path."""
    left = asyncio.Event()

    async def hang(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            pass
        left.set()

    async with Far({"/hang": hang, "/bad": b"HTTP/1.1 500 Oh\r\n\r\n"}) as far:
        base = f"http://img.test:{far.port}"
        request = asking(f"{base}/hang", f"{base}/bad")
        fetcher = Fetcher(Getter(resolve=names()), rules(far, timeout=60.0))
        with pytest.raises(InvalidRequest) as failure:
            await asyncio.wait_for(inlined(request, OPENAI, BLIND, fetcher), 5)
        assert failure.value.param == "messages[0].content[2].image_url.url"
        await asyncio.wait_for(left.wait(), 5)


async def test_a_client_that_leaves_ends_all_fetches() -> None:
    """Every task is ended with the call."""
    began = asyncio.Event()

    async def hang(writer: asyncio.StreamWriter) -> None:
        began.set()
        await asyncio.Event().wait()

    async with Far({"/": hang}) as far:
        fetcher = Fetcher(Getter(resolve=names()), rules(far, timeout=60.0))
        before = asyncio.all_tasks()
        task = asyncio.create_task(inlined(asking(f"http://img.test:{far.port}/"), OPENAI, BLIND, fetcher))
        await asyncio.wait_for(began.wait(), 5)
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.cancelled()
        assert [each for each in asyncio.all_tasks() - before if "_serve" not in repr(each)] == []


# --- for whom ---


@pytest.mark.parametrize(
    ("dialect", "target", "image", "file"),
    [
        ("openai", Target("v", "m"), False, True),
        ("openai", BLIND, True, True),
        ("anthropic", Target("v", "claude-sonnet-4-5"), False, False),
        ("anthropic", BLIND, True, True),
        ("gemini", Target("v", "gemini-3-pro"), True, True),
        ("gemini", Target("v", "gemini-3-pro", traits={"links": True}), False, False),
        ("cohere", Target("v", "command-a"), False, False),
    ],
)
def test_only_links_that_an_upstream_does_not_fetch_are_fetched_for_it(
    dialect: str, target: Target, image: bool, file: bool
) -> None:
    """As its dialect and its quirks say."""
    link = "https://img.test/a.png"
    assert needs_fetching(asking(link), DIALECTS[dialect], target, Rules()) is image
    assert needs_fetching(asking(files=(link,)), DIALECTS[dialect], target, Rules()) is file
    assert not needs_fetching(asking(link, files=(link,)), DIALECTS[dialect], target, Rules(mode="off"))
    assert not needs_fetching(asking("data:image/png;base64,AA=="), DIALECTS[dialect], target, Rules())


def test_a_link_that_gemini_follows_by_itself_is_left_to_it() -> None:
    """Videos and its own files are no business of ours."""
    request = asking("https://www.youtube.com/watch?v=abc", "https://generativelanguage.googleapis.com/v1beta/files/x")
    assert not needs_fetching(request, DIALECTS["gemini"], Target("v", "gemini-3-pro"), Rules())


async def test_switched_off_nothing_is_fetched_and_the_request_stays_the_same() -> None:
    """The dialect then says that links are not fetched there."""
    request = asking("https://img.test/a.png")
    assert await inlined(request, OPENAI, BLIND, Fetcher(Getter(), Rules(mode="off"))) is request


async def test_what_was_inlined_is_what_dialects_send() -> None:
    """A link in, bytes out, in the protocols that have no links."""
    async with Far({"/a.png": ok(PNG), "/b.pdf": ok(PDF, "application/pdf")}) as far:
        base = f"http://img.test:{far.port}"
        request = asking(f"{base}/a.png", files=(f"{base}/b.pdf",))
        fetcher = Fetcher(Getter(resolve=names()), rules(far))
        for name, target in (
            ("openai", BLIND),
            ("anthropic", Target("v", "claude-sonnet-4-5", quirks=Quirks(image_urls=False))),
            ("gemini", Target("v", "gemini-3-pro")),
        ):
            codec = DIALECTS[name].chat
            assert codec is not None
            body = codec.encode(await inlined(request, DIALECTS[name], target, fetcher), target).body
            assert base64.b64encode(PNG) in body
            assert base64.b64encode(PDF) in body
            assert b"img.test" not in body
        assert len(far.asked) == 2


# --- through whole gateways ---


def linked(url: str, model: str = "gemini/gemini-2.5-flash") -> dict[str, Any]:
    """A chat with one image."""
    return {**asking(url), "model": model}


async def test_a_gateway_gets_images_for_upstreams_that_do_not() -> None:
    """The upstream sees bytes; what a link leads to is not fetched for one that fetches by itself."""
    async with Far({"/a.png": ok(PNG)}) as far:
        llm = FakeLLM()
        fetch = {"http": True, "ports": [far.port], "networks": [f"{PUBLIC}/32"]}
        app = gateway_over(gemini=llm.gemini, openai=llm.openai, options={"fetch": fetch})
        llm.gemini.reply("A dog.")
        llm.openai.reply("A cat.")
        link = f"http://{PUBLIC}:{far.port}/a.png"
        async with app.client(api_key=KEY) as client:
            got = await client.post("/v1/chat/completions", json=linked(link))
            assert got.status_code == 200, got.text
            assert got.json()["choices"][0]["message"]["content"] == "A dog."
            parts = llm.gemini.calls[-1].body["contents"][0]["parts"]
            assert parts[1] == {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}}
            assert far.connections == 1
            assert (await client.post("/v1/chat/completions", json=linked(link, "openai/gpt-4o"))).status_code == 200
            assert far.connections == 1


@pytest.mark.parametrize("fetch", [{}, {"http": True}, {"mode": "hosts", "hosts": ["*.example.com"]}, {"mode": "off"}])
async def test_a_gateway_as_it_is_delivered_asks_nobody_inside(fetch: dict[str, Any]) -> None:
    """Private addresses are refused by default, with a 400 that says what to send instead; so is all when it is off."""
    async with Far({"/": ok(PNG + SECRET)}, address="127.0.0.1") as inside:
        llm = FakeLLM()
        if "mode" not in fetch:
            fetch = {**fetch, "ports": [inside.port]}
        app = gateway_over(gemini=llm.gemini, options={"fetch": fetch})
        async with app.client(api_key=KEY) as client:
            for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "169.254.169.254"):
                for scheme in ("http", "https"):
                    got = await client.post("/v1/chat/completions", json=linked(f"{scheme}://{host}:{inside.port}/"))
                    error = got.json()["error"]
                    assert (got.status_code, error["type"]) == (400, "invalid_request_error")
                    assert error["param"] == "messages[0].content[1].image_url.url"
                    assert "data URL" in error["message"]
        assert inside.connections == 0
        assert len(llm.gemini.calls) == 0
