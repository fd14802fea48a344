"""The variables that redirect applications: official clients that are made without arguments reach the fakes."""

import os
import sys
from collections.abc import Iterator

import anthropic
import cohere
import openai
import pytest
from google import genai
from langchain_openai import ChatOpenAI

from compatgw_testing import Fake, FakeAnthropic, FakeCohere, FakeGemini, FakeOpenAI, FakeServer
from compatgw_testing.doors.environ import VENDORS, Frozen, environ, frozen
from tests.testing.driver import MODELS


def redirect(monkeypatch: pytest.MonkeyPatch, origin: str, fakes: dict[str, Fake]) -> None:
    """Applies the change to this process."""
    change = environ(origin, {name: fake.api_key for name, fake in fakes.items()}, current=os.environ)
    for name in change.unset:
        monkeypatch.delenv(name, raising=False)
    for name, value in change.set.items():
        monkeypatch.setenv(name, value)
    for one in frozen(sys.modules):
        monkeypatch.setitem(one.where, one.key, one.value(change.set))


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch, server: FakeServer) -> Iterator[dict[str, Fake]]:
    """The four dialects and two of the family under a path of this test, and an environment that leads there.

    Before it the environment leads elsewhere, with real-looking keys and through a proxy.
    """
    # Cohere's clients keep the address that they find at their import, which is by their first mention.
    cohere.ClientV2, cohere.Client  # noqa: B018 - imports them
    for name in ("OPENAI_ORG_ID", "ANTHROPIC_AUTH_TOKEN", "OPENAI_PROJECT_ID", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.setenv(name, "real")
    for name in ("OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS"):
        monkeypatch.setenv(name, "Authorization: Bearer real")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    made: dict[str, Fake] = {
        "openai": FakeOpenAI("one-key"),
        "anthropic": FakeAnthropic(),
        "gemini": FakeGemini(),
        "cohere": FakeCohere(),
        "azure": FakeOpenAI("azure-key", habit="azure"),
        "groq": FakeOpenAI("groq-key", habit="groq"),
    }
    for name, fake in made.items():
        server.mount(f"/redirected/{name}", fake.always("Hello"))
    redirect(monkeypatch, f"{server.origin}/redirected", made)
    yield made
    for name in made:
        server.unmount(f"/redirected/{name}")


def test_official_clients_made_without_arguments(fakes: dict[str, Fake]) -> None:
    """Each reaches its fake with the key that the fake accepts, and nothing real goes along."""
    with openai.OpenAI() as client:
        client.chat.completions.create(model=MODELS["openai"], messages=[{"role": "user", "content": "Hi"}])
    with anthropic.Anthropic() as claude:
        claude.messages.create(model=MODELS["anthropic"], max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
    gemini = genai.Client()
    gemini.models.generate_content(model=MODELS["gemini"], contents="Hi")
    gemini.close()
    with cohere.ClientV2() as command:
        command.chat(model=MODELS["cohere"], messages=[cohere.UserChatMessageV2(content="Hi")])
    with openai.AzureOpenAI() as azure:
        azure.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
    with openai.OpenAI(base_url=os.environ["GROQ_API_BASE"], api_key=os.environ["GROQ_API_KEY"]) as groq:
        groq.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])

    assert {name: [call.status for call in fake.calls] for name, fake in fakes.items()} == {
        name: [200] for name in fakes
    }
    for fake in fakes.values():
        assert "real" not in str(fake.last.headers)


def test_langchain_is_redirected(fakes: dict[str, Fake]) -> None:
    """It reads variables of its own beside those of the SDK."""
    assert ChatOpenAI(model="gpt-4o").invoke("Hi").content == "Hello"
    assert fakes["openai"].last.status == 200


def test_openais_module_level_client_is_not_in_doubt(fakes: dict[str, Fake]) -> None:
    """Keys of OpenAI and of Azure at once would make it ask which is meant; one that was made before is made anew."""
    openai.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
    assert openai._client is not None
    openai._client.close()

    assert len(fakes["openai"].calls) == 1


def test_what_an_sdk_keeps_from_its_import_is_found() -> None:
    """The address of all four of Cohere's clients, and openai's module-level client; nothing of what is not there."""
    cohere.ClientV2, cohere.Client  # noqa: B018 - imports them

    found = frozen(sys.modules)

    assert [one.key for one in found if one.variable == "CO_API_URL"] == ["base_url"] * 4
    assert {one.key for one in found if one.where is vars(openai)} == {"api_type", "api_version", "_client"}
    assert frozen({}) == []
    assert Frozen({}, "k", "V").value({"V": "x"}) == "x"
    assert Frozen({}, "k", "V").value({}) is Frozen({}, "k", None).value({"V": "x"}) is None


def test_a_vendor_without_a_fake_has_no_key() -> None:
    """A call to it fails for want of a key, rather than leave with a real one."""
    change = environ("http://127.0.0.1:1", {"openai": "k"})

    assert change.set["OPENAI_BASE_URL"] == "http://127.0.0.1:1/openai/v1"
    assert {"ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "GEMINI_API_KEY", "GROQ_API_KEY"} <= set(change.unset)
    assert "ANTHROPIC_API_KEY" not in change.set
    # What cannot be pointed anywhere gets no key either.
    assert "PERPLEXITY_API_KEY" in environ("http://127.0.0.1:1", dict.fromkeys(VENDORS, "k")).unset


@pytest.mark.parametrize("names", [(), ("azure",), VENDORS])
def test_nothing_is_set_and_unset(names: tuple[str, ...]) -> None:
    """The two parts of a change never meet."""
    change = environ("http://127.0.0.1:1/", dict.fromkeys(names, "k"))

    assert not set(change.set) & set(change.unset)
    assert all("//" not in value.removeprefix("http://") for value in change.set.values())


def test_proxies_stay_but_not_for_this_machine() -> None:
    """Exceptions that were there are kept, once each."""
    change = environ("http://127.0.0.1:1", {}, current={"NO_PROXY": "intranet.test, localhost"})

    assert change.set["NO_PROXY"] == "intranet.test,localhost,127.0.0.1,::1"
    assert change.set["no_proxy"] == "127.0.0.1,localhost,::1"
    assert "HTTP_PROXY" not in change.unset


def test_an_unknown_vendor_is_named() -> None:
    """With those that are known."""
    with pytest.raises(ValueError, match="no variables are known for nobody; there are some for openai"):
        environ("http://127.0.0.1:1", {"nobody": "k"})
