"""Makes the shipped cassettes: the SDKs ask, a recorder listens, and a fake or a real server answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anthropic
import cohere
import openai
from google import genai

from compatgw_testing.cassettes.age import stamp
from compatgw_testing.cassettes.format import Provenance, read
from compatgw_testing.cassettes.services import SERVICES
from compatgw_testing.cassettes.session import DUMMY_KEY, Session
from compatgw_testing.doors import inprocess
from compatgw_testing.fakes.openai.habits import HABITS
from compatgw_testing.llm import FakeLLM
from tests.testing.cassettes.corpus import local, on_anthropic, on_bedrock, on_cohere, on_gemini, on_openai, on_vectors
from tests.testing.cassettes.corpus.plain import ByHand
from tests.testing.cassettes.corpus.scenario import Said, Scenario
from tests.testing.cassettes.corpus.vendors import VENDORS, scenarios

ROOT = Path(__file__).resolve().parents[4] / "cassettes"
NOTE = "made by the fake of compatgw_testing, which is written from the vendor's documents; no server was asked"
CORPUS: Mapping[str, Mapping[str, Scenario]] = {
    "openai": on_openai.SCENARIOS,
    "anthropic": on_anthropic.SCENARIOS,
    "gemini": on_gemini.SCENARIOS,
    "cohere": on_cohere.SCENARIOS,
    "bedrock": on_bedrock.SCENARIOS,
    "voyage": on_vectors.VOYAGE,
    "jina": on_vectors.JINA,
    **{vendor: scenarios(vendor) for vendor in VENDORS},
}
# A key of Bedrock that is sent as it is; a signature would be one of another host.
BEDROCK_KEY = "bedrock-api-key-of-the-fake"
# Who is asked by hand, and what stands before the paths there.
BY_HAND: Mapping[str, str] = {"bedrock": "", "voyage": "/v1", "jina": "/v1"}
# By folder: those that only a real server can answer, and the service whose SDK asks it.
LIVE: Mapping[str, tuple[str, Mapping[str, Scenario]]] = {local.FOLDER: ("openai", local.SCENARIOS)}


def scenarios_in(folder: str) -> tuple[str, Mapping[str, Scenario]]:
    """The service and the scenarios of a folder."""
    return LIVE[folder] if folder in LIVE else (folder, CORPUS[folder])


def may_be_made(path: Path) -> bool:
    """Whether a cassette was made by a fake, and may be made again."""
    return not path.exists() or read(path).provenance.source == "from documents"


def each() -> Iterator[tuple[str, str, Scenario]]:
    """Every scenario with its service and its name."""
    for service, found in CORPUS.items():
        for name, scenario in found.items():
            yield service, name, scenario


@contextmanager
def client(service: str, app: Any, key: str) -> Iterator[Any]:
    """The official SDK for a service, or what asks by hand, in this process, with its every request to `app`.

    Args:
        service: Below whose name it asks.
        app: What answers.
        key: The key it sends.
    """
    url = f"{inprocess.ORIGIN}/{service}"
    library: Any = "httpx" if service == "cohere" or service in BY_HAND else "httpx2"
    with ExitStack() as stack:
        http: Any = stack.enter_context(inprocess.client(app, library=library, sync=True, timeout=120))
        if service in BY_HAND:
            yield ByHand(http, url + BY_HAND[service], key)
        elif service == "anthropic":
            yield anthropic.Anthropic(api_key=key, base_url=url, max_retries=0, http_client=http)
        elif service == "gemini":
            options = genai.types.HttpOptions(base_url=url, httpx_client=http)
            made = genai.Client(api_key=key, http_options=options)
            stack.callback(made.close)
            yield made
        elif service == "cohere":
            yield cohere.ClientV2(key, base_url=url, httpx_client=http)
        else:
            headers = {"api-key": key} if service == "azure" else {}
            url += HABITS[service].base
            yield openai.OpenAI(api_key=key, base_url=url, max_retries=0, http_client=http, default_headers=headers)


def ticking() -> Callable[[], float]:
    """A clock that goes on by a millisecond whenever it is read."""
    ticks = iter(range(1_000_000))
    return lambda: next(ticks) / 1000


def made(folder: Path, service: str, name: str, scenario: Scenario) -> tuple[Path, Said]:
    """Makes one cassette with the fake; gives its path, and what the SDK understood."""
    fakes = FakeLLM(seed=f"{service}/{name}", unscripted="fail")
    if service == "bedrock":
        fakes.bedrock.api_key = BEDROCK_KEY
    key = fakes.dialect(service).api_key
    scenario.script(fakes.dialect(service))
    path = folder / service / f"{name}.jsonl"
    path.unlink(missing_ok=True)
    known = SERVICES.get(service)
    upstream = {f"{service.upper().replace('-', '_')}_BASE_URL": f"http://fakes.test{known.base if known else ''}"}
    session = Session(
        path,
        "rewrite",
        environment=upstream,
        connect=lambda: inprocess.client(fakes.dialect(service), library="httpx"),
        about=Provenance("from documents", server=f"fake of {service}", model=scenario.model, note=NOTE),
        clock=ticking(),
    )
    with client(service, session, key) as sdk:
        said = scenario.ask(sdk, scenario.model)
    if problems := session.finish(passed=True):
        raise AssertionError("\n".join(problems))
    fakes.verify()
    return path, said


def replayed(path: Path, service: str, scenario: Scenario, *, rechunk: int | None = None) -> Said:
    """What the SDK understands of a cassette."""
    session = Session(path, "none", environment={}, rechunk=rechunk)
    with client(service, session, DUMMY_KEY) as sdk:
        said = scenario.ask(sdk, read(path).provenance.model)
    if problems := session.finish(passed=True):
        raise AssertionError("\n".join(problems))
    return said


def recorded(path: Path, service: str, scenario: Scenario, *, model: str, server: str = "") -> Said:
    """Records one scenario from the real server: the vendor's own, or the one that the environment names.

    Args:
        path: The file; what is there is replaced.
        service: Which SDK asks, and with which key.
        scenario: What is asked.
        model: The model that is asked for.
        server: What the file calls the server. Default: its host.

    Raises:
        AssertionError: It could not be written.
    """
    keys = SERVICES[service].keys if service in SERVICES else ()
    named = (*keys, f"{service.upper().replace('-', '_')}_API_KEY")
    key = next((os.environ[name] for name in named if os.environ.get(name)), DUMMY_KEY)
    about = Provenance("recorded", server=server, model=model, recorded_at=stamp(datetime.now(UTC))) if server else None
    session = Session(path, "rewrite", about=about)
    with client(service, session, key) as sdk:
        said = scenario.ask(sdk, model)
    if problems := session.finish(passed=True):
        raise AssertionError("\n".join(problems))
    if any(one.head is None for one in read(path).interactions):
        path.unlink()
        raise AssertionError("the server could not be reached")
    return said
