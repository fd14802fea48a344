"""Things that are made when they are first asked for."""

import threading

from compatgw.flow.later import Later


def test_it_is_made_once_however_many_ask_for_it() -> None:
    """Threads that come at one time wait for the first, and all have the same."""
    made: list[object] = []
    begun, go = threading.Event(), threading.Event()

    def make() -> object:
        begun.set()
        go.wait(10)
        made.append(object())
        return made[-1]

    later = Later(make)
    assert later.made is None
    seen: list[object] = []
    threads = [threading.Thread(target=lambda: seen.append(later())) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    go.set()
    for thread in threads:
        thread.join(10)
    assert len(made) == 1
    assert seen == made * 5
    assert later() is later.made
