"""The pytest plugin: fixtures that hand out fakes, cassettes, a guard and a gateway over the fakes.

pytest loads this file into every test run of whoever installed the package, so it imports
pytest and nothing else; the fakes, the gateway and what they need are imported when a
fixture first asks. It is the only file of the package that imports pytest.

Each fixture has a prefixed name (`compatgw_fake_openai`) that cannot clash, and a short
one (`fake_openai`) that is the very same object; `compatgw_short_names = false` in the ini
file leaves the short ones out.

A test that passed is judged at its end: what was scripted and never used, what was called
and never scripted, makes it fail.
"""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager

    from compatgw import Gateway
    from compatgw_testing.cassettes.session import Session
    from compatgw_testing.doors.environ import Redirect
    from compatgw_testing.fakes.anthropic import FakeAnthropic
    from compatgw_testing.fakes.cohere import FakeCohere
    from compatgw_testing.fakes.gemini import FakeGemini
    from compatgw_testing.fakes.openai import FakeOpenAI
    from compatgw_testing.guard import NetworkGuard
    from compatgw_testing.llm import FakeLLM
    from compatgw_testing.matrix import Case, Seen, Target
    from compatgw_testing.server import FakeServer

# What a passed test is judged by, and whether it passed.
_JUDGES = pytest.StashKey[list["Callable[[], None]"]]()
_PASSED = pytest.StashKey[bool]()
# The server that was started before the test modules were imported, and what it changed.
_EARLY = pytest.StashKey[tuple["FakeServer", "AbstractContextManager[None]"]]()
_EARLY_PATH = "llm"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's options and ini settings."""
    parser.addini("compatgw_short_names", "Fixtures also under their short names.", type="bool", default=True)
    parser.addini("compatgw_guard", "Every test runs under the guard `no_llm_network`.", type="bool", default=False)
    parser.addini("compatgw_cassettes", "Folder of cassettes, from the root. Default: `cassettes` beside each test.")
    parser.addini("compatgw_unscripted", "What unscripted chat calls get: `fail` or `answer`.", default="fail")
    group = parser.getgroup("compatgw", "compatgw: offline LLM providers")
    group.addoption(
        "--llm-seed", default="0", metavar="SEED", help="from which made-up ids and texts follow; default 0"
    )
    group.addoption(
        "--llm-record",
        choices=("none", "once", "new_episodes", "all", "rewrite"),
        metavar="MODE",
        help="what `llm_cassette` does: none (replay only; the default), once, new_episodes, all, rewrite; without it "
        "the --record-mode of pytest-recording counts, where that is installed",
    )
    group.addoption("--llm-rechunk", metavar="SEED", help="replayed streams are cut into other pieces, by this seed")
    group.addoption("--llm-speed", type=float, default=0.0, help="of replay: 0 at once (the default), 1 as recorded")
    group.addoption("--llm-guard", action="store_true", help="every test runs under the guard `no_llm_network`")
    group.addoption(
        "--llm-early",
        action="store_true",
        help="point OPENAI_BASE_URL and its kin at the fakes before test modules are imported, for applications that "
        "make their clients at import",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Announces the markers, adds the short names, and starts the server early if asked."""
    config.addinivalue_line(
        "markers",
        "llm(unscripted='fail', verify=True): how the fakes of this test treat calls that nothing is scripted for "
        "('answer' makes an answer up), and whether what was scripted has to be used",
    )
    config.addinivalue_line(
        "markers", "llm_grade(level='error'): the client's conduct towards the fakes is graded; see `grade`"
    )
    config.addinivalue_line(
        "markers",
        "llm_cassette(mode=None, allow_unused=False, repeats=False, volatile=()): how this test uses its cassette",
    )
    config.addinivalue_line(
        "markers",
        "llm_matrix(clients=None, upstreams=None, scenarios=None): runs the test for each of these; see `matrix_case`",
    )
    if config.getini("compatgw_short_names"):
        config.pluginmanager.register(_ShortNames(), "compatgw-short-names")
    if config.getini("compatgw_guard") or config.getoption("--llm-guard"):
        config.pluginmanager.register(_Guarded(), "compatgw-guarded")
    if config.getoption("--llm-early"):
        from compatgw_testing.server import FakeServer

        server = FakeServer().start()
        redirected = _at_fakes(f"{server.origin}/{_EARLY_PATH}")
        redirected.__enter__()
        config.stash[_EARLY] = (server, redirected)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends what `pytest_configure` began."""
    if _EARLY in config.stash:
        server, redirected = config.stash[_EARLY]
        redirected.__exit__(None, None, None)
        server.stop()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each case of the matrix that its marker asks for."""
    if "compatgw_matrix_case" not in metafunc.fixturenames:
        return
    from compatgw_testing.matrix import cases

    marker = metafunc.definition.get_closest_marker("llm_matrix")
    found = cases(**marker.kwargs) if marker is not None else cases()
    metafunc.parametrize("compatgw_matrix_case", found, ids=[case.id for case in found])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Stops a test that mixes what must not be mixed."""
    names = getattr(item, "fixturenames", ())
    if not any(name.endswith("_mock") for name in names):
        return
    from compatgw_testing.ext.pytest_httpx import conflicts

    if advice := conflicts(names, [marker.name for marker in item.iter_markers()]):
        pytest.fail(advice, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Judges a test that passed, so that it fails where it is, not at its teardown."""
    item.stash[_PASSED] = False
    result = yield
    problems: list[str] = []
    for judge in item.stash.get(_JUDGES, []):
        try:
            judge()
        except AssertionError as error:
            problems.append(str(error))
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
    item.stash[_PASSED] = True
    return result


def _judged_by(request: pytest.FixtureRequest, judge: Callable[[], None]) -> None:
    item: pytest.Item = request.node
    item.stash.setdefault(_JUDGES, []).append(judge)


def _at_fakes(origin: str) -> AbstractContextManager[None]:
    """Points the SDKs' environment variables at the fakes below `origin`."""
    from compatgw_testing.doors.environ import VENDORS, environ
    from compatgw_testing.llm import KEYS

    return _redirected(environ(origin, {name: KEYS[name] for name in VENDORS if name in KEYS}, current=os.environ))


@contextmanager
def _redirected(change: Redirect) -> Iterator[None]:
    """Changes the environment, and what SDKs have kept from it; afterwards all is as before."""
    from compatgw_testing.doors.environ import frozen

    before = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in change.set.items():
            patch.setenv(name, value)
        for name in change.unset:
            patch.delenv(name, raising=False)
        known = frozen(sys.modules)
        for kept in known:
            patch.setitem(kept.where, kept.key, kept.value(change.set))
        yield
    # An SDK that was imported meanwhile has kept what was only for a time.
    places = {(id(kept.where), kept.key) for kept in known}
    for kept in frozen(sys.modules):
        if (id(kept.where), kept.key) not in places:
            kept.where[kept.key] = kept.value(before)


@pytest.fixture
def compatgw_fakes(request: pytest.FixtureRequest) -> FakeLLM:
    """The fakes of this test, in process only; ids and texts follow from `--llm-seed` and the test's name."""
    from compatgw_testing.llm import FakeLLM

    marker = request.node.get_closest_marker("llm")
    ways = marker.kwargs if marker is not None else {}
    if unknown := sorted(set(ways) - {"unscripted", "verify"}):
        pytest.fail(f"the marker `llm` has no argument {unknown[0]!r}; there are `unscripted` and `verify`", False)
    seed = f"{request.config.getoption('--llm-seed')}|{request.node.nodeid}"
    fakes = FakeLLM(seed=seed, unscripted=ways.get("unscripted", request.config.getini("compatgw_unscripted")))
    if ways.get("verify", True):
        _judged_by(request, fakes.verify)
    grade = request.node.get_closest_marker("llm_grade")
    if grade is not None:
        level = grade.args[0] if grade.args else grade.kwargs.get("level", "error")
        _judged_by(request, lambda: fakes.grade().assert_ok(level=level))
    return fakes


@pytest.fixture(scope="session")
def compatgw_llm_server(request: pytest.FixtureRequest) -> Iterator[FakeServer]:
    """One loopback port for the whole run of this process; each test has a path of its own on it."""
    if _EARLY in request.config.stash:
        yield request.config.stash[_EARLY][0]
        return
    from compatgw_testing.server import FakeServer

    with FakeServer() as server:
        yield server


@pytest.fixture
def compatgw_fake_llm(
    request: pytest.FixtureRequest,
    compatgw_fakes: FakeLLM,
    compatgw_llm_server: FakeServer,
) -> Iterator[FakeLLM]:
    """All fakes on a real port, with the SDKs' environment variables pointing at them.

    `fake_llm.openai`, `.anthropic`, `.gemini`, `.cohere` and `.vendor("groq")` are scripted and looked at;
    `fake_llm.origin` is the address below which each has its name.
    """
    early = _EARLY in request.config.stash
    path = _EARLY_PATH if early else f"t{id(compatgw_fakes):x}"
    compatgw_fakes.origin = compatgw_llm_server.mount(path, compatgw_fakes)
    with nullcontext() if early else _at_fakes(compatgw_fakes.origin):
        yield compatgw_fakes
    compatgw_llm_server.unmount(path)


@pytest.fixture
def compatgw_fake_openai(compatgw_fakes: FakeLLM) -> FakeOpenAI:
    """The fake of OpenAI's API of this test; with `fake_llm` the same as `fake_llm.openai`."""
    return compatgw_fakes.openai


@pytest.fixture
def compatgw_fake_anthropic(compatgw_fakes: FakeLLM) -> FakeAnthropic:
    """The fake of Anthropic's API of this test; with `fake_llm` the same as `fake_llm.anthropic`."""
    return compatgw_fakes.anthropic


@pytest.fixture
def compatgw_fake_gemini(compatgw_fakes: FakeLLM) -> FakeGemini:
    """The fake of the Gemini API of this test; with `fake_llm` the same as `fake_llm.gemini`."""
    return compatgw_fakes.gemini


@pytest.fixture
def compatgw_fake_cohere(compatgw_fakes: FakeLLM) -> FakeCohere:
    """The fake of Cohere's API of this test; with `fake_llm` the same as `fake_llm.cohere`."""
    return compatgw_fakes.cohere


@pytest.fixture
def compatgw_gateway(request: pytest.FixtureRequest, compatgw_fakes: FakeLLM) -> Gateway:
    """A real gateway whose upstreams are the four fakes of this test, all in process, with the key `test-key`.

    In a test that uses `httpx_mock`, its upstreams are the vendors' real addresses through httpx, where
    `httpx_mock` sees and answers every call.
    """
    from compatgw_testing.ext.pytest_httpx import intercepts_httpx
    from compatgw_testing.harness import gateway_on_httpx, gateway_over
    from compatgw_testing.llm import DIALECTS

    seed = compatgw_fakes.seed
    if intercepts_httpx(request.fixturenames):
        return gateway_on_httpx(DIALECTS, seed=seed)
    fakes = compatgw_fakes
    return gateway_over(
        seed=seed, openai=fakes.openai, anthropic=fakes.anthropic, gemini=fakes.gemini, cohere=fakes.cohere
    )


@pytest.fixture
def compatgw_gateway_server(compatgw_gateway: Gateway, compatgw_llm_server: FakeServer) -> Iterator[str]:
    """The address of that gateway on a real port, for any client: its `base_url` is this and `/v1`."""
    path = f"g{id(compatgw_gateway):x}"
    yield compatgw_llm_server.mount(path, compatgw_gateway)
    compatgw_llm_server.unmount(path)


@pytest.fixture
def compatgw_llm_cassette(request: pytest.FixtureRequest, compatgw_llm_server: FakeServer) -> Iterator[Session]:
    """Real answers, recorded once and replayed from then on: the SDKs' environment variables point at the cassette.

    The file is `cassettes/MODULE/TEST.jsonl` beside the test, or below the folder that the ini setting
    `compatgw_cassettes` names. Without `--llm-record` nothing is recorded. What was recorded is written when the test
    has passed; an answer that the test did not ask for fails it.
    """
    from compatgw_testing.cassettes.session import Session, path_of

    config, node = request.config, request.node
    marker = node.get_closest_marker("llm_cassette")
    ways = dict(marker.kwargs) if marker is not None else {}
    mode = config.getoption("--llm-record") or ways.pop("mode", None)
    if mode is None and config.pluginmanager.hasplugin("recording"):
        mode = config.getoption("--record-mode")
    folder = config.getini("compatgw_cassettes")
    place = config.rootpath / folder if folder else request.path.parent / "cassettes"
    session = Session(
        path_of(place, request.path.stem, node.name),
        mode or "none",
        test=node.nodeid,
        rechunk=config.getoption("--llm-rechunk"),
        speed=config.getoption("--llm-speed"),
        **ways,
    )
    for warning in session.warnings:
        warnings.warn(pytest.PytestWarning(warning), stacklevel=1)

    def judge() -> None:
        if problems := session.finish(True):
            raise AssertionError("\n".join(problems))

    _judged_by(request, judge)
    path = f"c{id(session):x}"
    with _redirected(session.environ(compatgw_llm_server.mount(path, session))):
        yield session
    compatgw_llm_server.unmount(path)
    if not node.stash.get(_PASSED, False):
        for problem in session.finish(False):
            node.add_report_section("teardown", "llm_cassette", problem)


@pytest.fixture
def compatgw_matrix_target(request: pytest.FixtureRequest) -> Target:
    """The gateway that `matrix_case` is played against: ours, in process. Override it to test another."""
    from compatgw_testing.harness import gateway_over
    from compatgw_testing.matrix import Target

    return Target.in_process(gateway_over)


@pytest.fixture
def compatgw_no_llm_network(request: pytest.FixtureRequest) -> Iterator[NetworkGuard]:
    """Nothing in this test reaches another machine: an attempt fails, names the host, and fails the test."""
    from compatgw_testing.guard import NetworkGuard

    with NetworkGuard() as guard:
        _judged_by(request, guard.assert_no_escape)
        yield guard


class _ShortNames:
    """The fixtures under names that may clash with somebody else's."""

    @pytest.fixture
    def fake_llm(self, compatgw_fake_llm: FakeLLM) -> FakeLLM:
        """The same object as `compatgw_fake_llm`."""
        return compatgw_fake_llm

    @pytest.fixture
    def fake_openai(self, compatgw_fake_openai: FakeOpenAI) -> FakeOpenAI:
        """The same object as `compatgw_fake_openai`."""
        return compatgw_fake_openai

    @pytest.fixture
    def fake_anthropic(self, compatgw_fake_anthropic: FakeAnthropic) -> FakeAnthropic:
        """The same object as `compatgw_fake_anthropic`."""
        return compatgw_fake_anthropic

    @pytest.fixture
    def fake_gemini(self, compatgw_fake_gemini: FakeGemini) -> FakeGemini:
        """The same object as `compatgw_fake_gemini`."""
        return compatgw_fake_gemini

    @pytest.fixture
    def fake_cohere(self, compatgw_fake_cohere: FakeCohere) -> FakeCohere:
        """The same object as `compatgw_fake_cohere`."""
        return compatgw_fake_cohere

    @pytest.fixture
    def gateway(self, compatgw_gateway: Gateway) -> Gateway:
        """The same object as `compatgw_gateway`."""
        return compatgw_gateway

    @pytest.fixture
    def gateway_server(self, compatgw_gateway_server: str) -> str:
        """The same address as `compatgw_gateway_server`."""
        return compatgw_gateway_server

    @pytest.fixture
    def llm_cassette(self, compatgw_llm_cassette: Session) -> Session:
        """The same object as `compatgw_llm_cassette`."""
        return compatgw_llm_cassette

    @pytest.fixture
    def matrix_case(self, compatgw_matrix_case: Case, matrix_target: Target) -> Callable[[], Seen]:
        """Plays one case of the matrix against `matrix_target`; gives what the client saw."""
        return lambda: compatgw_matrix_case.run_sync(matrix_target)

    @pytest.fixture
    def matrix_target(self, compatgw_matrix_target: Target) -> Target:
        """The same object as `compatgw_matrix_target`; override it to test a gateway of your own."""
        return compatgw_matrix_target

    @pytest.fixture
    def no_llm_network(self, compatgw_no_llm_network: NetworkGuard) -> NetworkGuard:
        """The same object as `compatgw_no_llm_network`."""
        return compatgw_no_llm_network


class _Guarded:
    """The guard for every test."""

    @pytest.fixture(autouse=True)
    def _compatgw_guarded(self, compatgw_no_llm_network: NetworkGuard) -> None:
        """Nothing beside the guard itself."""
