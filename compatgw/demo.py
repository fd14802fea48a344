"""`compatgw demo`: a gateway over `compatgw_testing`'s fakes, in one process, without key or network.

What does not live here: serving (`cli/serve.py`).
"""

from __future__ import annotations

import textwrap

from compatgw.gateway import Gateway

KEY = "demo-key"
ADMIN = "demo-admin"
"""For the console."""
# One model for each protocol that the gateway translates.
MODELS = ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash", "cohere/command-a-03-2025")


def build(ledger: str | None = None) -> Gateway:
    """The gateway; `KEY` may call, `ADMIN` may manage.

    Args:
        ledger: Where its records are, such as `sqlite:////tmp/demo.db`. Default: it has none.

    Raises:
        ModuleNotFoundError: The extra `testing` is not installed.
    """
    from compatgw_testing.fakes import FakeAnthropic, FakeCohere, FakeGemini, FakeOpenAI

    fakes = {
        "openai": FakeOpenAI(),
        "anthropic": FakeAnthropic(),
        "gemini": FakeGemini(),
        "cohere": FakeCohere(),
    }
    providers = {name: {"app": fake, "api_key": fake.api_key} for name, fake in fakes.items()}
    return Gateway(
        providers=providers,
        keys=[{"key": KEY, "name": "demo"}, {"key": ADMIN, "name": "operator", "scopes": ["admin"]}],
        state={"ledger": ledger},
        status_upstreams=True,
        environ={},
    )


def snippets(base_url: str) -> str:
    """What a newcomer can paste: a curl line for each protocol, and the same in Python."""
    root = base_url.removesuffix("/v1")
    lines = [
        "compatgw demo: four fake providers answer, nothing leaves this machine.",
        "",
        f"  base URL  {base_url}",
        f"  key       {KEY}",
        f"  guide     {root}/docs",
        f"  console   {root}/console   log in with {ADMIN}",
        "",
        "In another terminal:",
        "",
    ]
    for model in MODELS:
        body = f'{{"model": "{model}", "stream": true, "messages": [{{"role": "user", "content": "Hello!"}}]}}'
        headers = f"-H 'Authorization: Bearer {KEY}' -H 'Content-Type: application/json'"
        lines += [f"curl -sN {base_url}/chat/completions {headers} -d '{body}'", ""]
    lines.append("# the same from Python (pip install openai)")
    lines.append(
        textwrap.dedent(
            f"""\
            from openai import OpenAI

            client = OpenAI(base_url="{base_url}", api_key="{KEY}")
            for model in {list(MODELS)!r}:
                answer = client.chat.completions.create(model=model, messages=[{{"role": "user", "content": "Hello!"}}])
                print(model, "->", answer.choices[0].message.content)
            """
        )
    )
    lines.append("Stop with Ctrl-C.")
    return "\n".join(lines)
