"""The cassette of one test: which requests are answered from the file, which are recorded, what is written at the end.

The modes are those of vcrpy and pytest-recording:

    none          answers from the file; nothing else is answered
    once          as `none` if there is a file; if there is none, everything is recorded
    new_episodes  answers from the file, records what it has not
    all           records everything; what was recorded anew replaces what it equals, the rest of the file stays
    rewrite       records everything; the file has nothing else afterwards

What does not live here: the fixture (`plugin.py`).
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from compatgw_testing.cassettes import age
from compatgw_testing.cassettes.format import Cassette, Provenance, read, write
from compatgw_testing.cassettes.incoming import ClientGone, request_of
from compatgw_testing.cassettes.match import VOLATILE, Matcher, key_of, told
from compatgw_testing.cassettes.record import Recorder, Tape
from compatgw_testing.cassettes.replay import Replay
from compatgw_testing.cassettes.scrub import LiveKeyFound, Scrubber
from compatgw_testing.cassettes.services import SERVICES, upstream_url
from compatgw_testing.doors.environ import VENDORS, Redirect, environ
from compatgw_testing.doors.lifespan import answer_lifespan

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, MutableMapping

    import httpx

    from compatgw_testing.cassettes.format import Interaction
    from compatgw_testing.doors.exchange import Receive, Send

Mode = Literal["none", "once", "new_episodes", "all", "rewrite"]
# What a replayed cassette takes for a key.
DUMMY_KEY: Final = "cassette-key"
# As whom the user asks; it must stay when real answers are recorded.
_WHO: Final = frozenset({"OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_PROJECT_ID"})
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.,=+@\[\]-]+")
_LONGEST: Final = 120


class Session:
    """The cassette of one test: an ASGI application, the variables that lead to it, and its judgement at the end.

    Args:
        path: The file.
        mode: See above.
        test: The name of the test, for the file.
        environment: As the user has it, with the real keys and base URLs. Default: the process's, as it is now.
        scrubber: Default: one that knows the keys in `environment`.
        volatile: Members at the top of a JSON body that do not count when requests are compared.
        repeats: Give the last answer again to a request whose answers were all given.
        allow_unused: Answers that nobody asked for are no problem.
        speed: Of replay: 0 at once, 1 as recorded.
        rechunk: A seed for cutting chunks anew in replay.
        max_age: From when on a cassette is old.
        connect: Makes the client that real requests go through.
        about: What a new file says of where it comes from. Default: recorded now, from the servers that were asked.
        clock: Seconds, for the times on the tape.
        now: The time.

    Attributes:
        warnings: What is not wrong, but worth saying; once for a file.

    Raises:
        MalformedCassette: The file is none.
        ValueError: There is no such mode.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: Mode = "none",
        *,
        test: str = "",
        environment: Mapping[str, str] | None = None,
        scrubber: Scrubber | None = None,
        volatile: Collection[str] = (),
        repeats: bool = False,
        allow_unused: bool = False,
        speed: float = 0.0,
        rechunk: int | str | None = None,
        max_age: timedelta = age.MAX_AGE,
        connect: Callable[[], httpx.AsyncClient] | None = None,
        about: Provenance | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"there is no mode {mode!r}; there are {', '.join(get_args(Mode))}")
        self.path = Path(path)
        self.mode: Mode = mode
        self._test = test
        self._environment = dict(os.environ if environment is None else environment)
        self._scrubber = Scrubber.of(self._environment) if scrubber is None else scrubber
        self._volatile = volatile
        self._allow_unused = allow_unused
        self._now = now
        self._about = about
        self._old = read(self.path) if self.path.exists() else None
        self._file = Provenance() if self._old is None else self._old.provenance
        plays = self._old is not None and mode in ("none", "once", "new_episodes")
        matcher = Matcher(
            self._old.interactions if plays and self._old is not None else (), volatile=volatile, repeats=repeats
        )
        self._replay = Replay(matcher, speed=speed, rechunk=rechunk, scrubber=self._scrubber)
        self._recorder = Recorder(Tape(clock), environment=self._environment, connect=connect)
        aged = age.too_old(self._old, self.path, now(), max_age) if plays and self._old is not None else None
        self.warnings: tuple[str, ...] = () if aged is None else (aged,)

    @property
    def tape(self) -> Tape:
        """What is recorded; others may record on it, too."""
        return self._recorder.tape

    @property
    def records(self) -> bool:
        """Whether requests may go to the vendors."""
        return self.mode in ("new_episodes", "all", "rewrite") or (self.mode == "once" and self._old is None)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serves one request: service S below `/S`."""
        if scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
            return
        try:
            request = await request_of(scope, receive, self._replay.answers.services)
        except ClientGone:
            return
        if (interaction := self._replay.taken(request)) is not None:
            await self._replay.play(interaction, scope, receive, send)
        elif self.records:
            await self._recorder.record(request, receive, send)
        else:
            await self._replay.refuse(request, send)

    def environ(self, origin: str) -> Redirect:
        """The variables that lead the SDKs to this application.

        With a dummy key where answers are replayed. Where they are recorded, with the user's own keys; a vendor that
        the user has neither a key nor a base URL for has none then, so that its SDK says so.

        Args:
            origin: The address at which the application stands, with its path.
        """
        if not self.records:
            return environ(origin, dict.fromkeys(VENDORS, DUMMY_KEY), current=self._environment)
        keys: dict[str, str] = {}
        for name in VENDORS:
            service = SERVICES[name]
            found = next((self._environment[one] for one in service.keys if self._environment.get(one)), "")
            if found or self._environment.get(service.variable):
                keys[name] = found or DUMMY_KEY
            elif self._has(name):
                keys[name] = DUMMY_KEY
        change = environ(origin, keys, current=self._environment)
        return change._replace(unset=tuple(name for name in change.unset if name not in _WHO))

    def _has(self, service: str) -> bool:
        return service in self._replay.answers.services

    def finish(self, passed: bool) -> list[str]:
        """Ends the test: writes what was recorded if it passed, and says what is wrong.

        A file is written whole or not at all. Of a test that failed nothing is written: what it recorded may be the
        reason why it failed.

        Returns:
            What is wrong, one text for each; empty if nothing is. Answers that nobody asked for are only wrong if the
            test passed, and if nothing could be recorded.
        """
        problems = [self._advised(miss) for miss in self._replay.misses]
        if not passed:
            return problems
        if self.records:
            try:
                self._commit()
            except (LiveKeyFound, OSError) as failure:
                problems.append(f"{self.path}: {failure}")
        elif not self._allow_unused:
            unused = self._replay.answers.unused
            problems += [f"{self.path}: nobody asked for what was recorded for {told(one.request)}" for one in unused]
        return problems

    def _advised(self, miss: str) -> str:
        if self._old is None:
            return f"there is no cassette {self.path}, so {miss.partition(':')[0]}; record it with the mode 'once'"
        advice = "if the request is meant, record it with the mode 'new_episodes', or all anew with 'rewrite'"
        return f"{self.path}: {miss}\n  {advice}"

    def _commit(self) -> None:
        recorded = self.tape.interactions
        old = () if self._old is None else self._old.interactions
        if self.mode == "rewrite" and not recorded:
            self.path.unlink(missing_ok=True)
            return
        if not recorded:
            return
        moment = age.stamp(self._now())
        clean = tuple(map(self._scrubber.interaction, recorded))
        kept: tuple[Interaction, ...] = ()
        if self.mode == "new_episodes":
            kept = old
        elif self.mode == "all":
            loose = VOLATILE | frozenset(self._volatile)
            anew = {key_of(one.request, loose) for one in clean}
            kept = tuple(one for one in old if key_of(one.request, loose) not in anew)
        if kept:
            about = self._file
            clean = tuple(replace(one, recorded_at=moment) for one in clean)
        else:
            about = self._about or self._origin(clean, moment)
        cassette = Cassette(about, (*kept, *clean))
        self._scrubber.check(cassette)
        write(self.path, cassette)

    def _origin(self, recorded: tuple[Interaction, ...], moment: str) -> Provenance:
        urls = [upstream_url(one.request.service, one.request.path, self._environment) for one in recorded]
        return Provenance(
            server=age.servers_of(urls), model=age.models_of(recorded), recorded_at=moment, test=self._test
        )


def path_of(folder: str | os.PathLike[str], module: str, test: str) -> Path:
    """The file of a test: `FOLDER/MODULE/TEST[PARAM].jsonl`, in characters that every file system takes.

    A name that had to be changed, or cut, has a few letters that follow from the whole of it at its end.

    Args:
        folder: Where the cassettes of the tests are.
        module: Name of the test's module, without the folders above it.
        test: Name of the test, with its parameters: "test_chat[openai-stream]".
    """
    return Path(folder) / _safe(module) / f"{_safe(test)}.jsonl"


def _safe(name: str) -> str:
    safe = _UNSAFE.sub("-", name).strip(".-") or "_"
    if safe == name and len(safe) <= _LONGEST:
        return safe
    return f"{safe[:_LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
