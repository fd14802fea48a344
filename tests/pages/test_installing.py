"""What the pages are made with may be missing, and costs nothing while nobody asks for a page."""

import subprocess
import sys
import textwrap

import orjson


def python(program: str) -> str:
    """What a program writes in a process of its own."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_the_extra_pages_say_how_to_install_it() -> None:
    """`/docs` and `/console` are 501 with the command; calls, files and the document do without."""
    found = orjson.loads(
        python(
            """
            import asyncio, sys
            sys.modules["jinja2"] = None
            import httpx, orjson
            from compatgw import Gateway

            async def main():
                async with Gateway(keys=["k"], environ={}) as gateway, gateway.client() as client:
                    paths = ("/docs", "/docs/models", "/console", "/openapi.json", "/assets/pages.css", "/healthz")
                    return {path: [(a := await client.get(path)).status_code, a.text[:300]] for path in paths}

            print(orjson.dumps(asyncio.run(main())).decode())
            """
        )
    )
    assert [found[path][0] for path in found] == [501, 501, 501, 200, 200, 200]
    for path in ("/docs", "/console"):
        error = orjson.loads(found[path][1])["error"]
        assert error["code"] == "not_installed"
        assert "compatgw[console]" in error["message"]


def test_nothing_is_loaded_before_somebody_asks() -> None:
    """A gateway that answered a call has loaded neither templates nor the document."""
    loaded = python(
        """
        import asyncio, sys
        from compatgw import Gateway

        async def main():
            async with Gateway(keys=["k"], environ={}) as gateway, gateway.client(api_key="k") as client:
                assert (await client.get("/v1/models")).status_code == 200

        asyncio.run(main())
        print(sorted(name for name in sys.modules if name.startswith(("jinja2", "compatgw.pages", "compatgw.openapi"))))
        """
    )
    assert loaded.strip() == "['compatgw.pages', 'compatgw.pages.door']"
