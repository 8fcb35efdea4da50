"""Watches that end, break in the middle of a line, are refused or stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.access import access
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.api import Api
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.errors import Expired, Unreachable

from .scripted_server import Handler, Server, Step, event, refuse, serving, stream

PATH = "/api/v1/pods"
GONE = (
    b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired",'
    b'"message":"too old resource version: 1 (9)"}}\n'
)


def hang(_handler: Handler) -> None:
    time.sleep(3)


def follow(server: Server, stop: threading.Event, patience: float = 5) -> Iterator[dict[str, Any]]:
    api = Api(access({"host": server.url, "api_key": "hush"}), patience=patience)
    try:
        yield from api.watch(PATH, label_selector="a=b", resource_version="1", stop=stop)
    finally:
        api.close()


def names(count: int, *steps: Step) -> tuple[list[str], list[str]]:
    """The names in the first events, and the versions that were asked for."""
    stop = threading.Event()
    found = []
    with serving(*steps) as server:
        for each in follow(server, stop):
            found.append(f"{each['type']} {each['object']['metadata']['name']}")
            if len(found) == count:
                stop.set()
    queries = [parse_qs(urlsplit(seen["path"]).query) for seen in server.seen]
    assert all(query["watch"] == ["true"] and query["labelSelector"] == ["a=b"] for query in queries)
    return found, [query["resourceVersion"][0] for query in queries]


def test_a_watch_goes_on_where_it_ended() -> None:
    found, versions = names(
        3,
        stream(event("ADDED", "a", 2) + event("MODIFIED", "a", 3)),
        stream(event("DELETED", "a", 4), then=hang),
    )
    assert found == ["ADDED a", "MODIFIED a", "DELETED a"]
    assert versions == ["1", "3"]


def test_a_watch_that_breaks_in_the_middle_of_a_line_goes_on_before_it() -> None:
    line = event("ADDED", "b", 3)
    found, versions = names(
        2,
        stream(event("ADDED", "a", 2), line[:20], then=Handler.reset),
        stream(line, then=hang),
    )
    assert found == ["ADDED a", "ADDED b"]
    assert versions == ["1", "2"]


def test_an_event_may_come_in_pieces_and_several_in_one() -> None:
    lines = event("ADDED", "a", 2) + event("ADDED", "b", 3)
    found, _versions = names(2, stream(lines[:10], lines[10:80], lines[80:], then=hang))
    assert found == ["ADDED a", "ADDED b"]


def test_a_bookmark_is_where_to_go_on_and_no_event() -> None:
    found, versions = names(1, stream(event("BOOKMARK", "", 50)), stream(event("ADDED", "a", 51), then=hang))
    assert found == ["ADDED a"]
    assert versions == ["1", "50"]


@pytest.mark.parametrize("step", [stream(GONE), refuse(410, "Expired", "too old resource version: 1 (9)")])
def test_a_version_that_is_too_old_is_told(step: Step) -> None:
    with serving(step) as server, pytest.raises(Expired, match="too old resource version"):
        list(follow(server, threading.Event()))
    assert len(server.seen) == 1


def test_a_server_that_comes_back_is_watched_again() -> None:
    found, versions = names(
        1,
        stream(then=Handler.reset),
        refuse(503, "ServiceUnavailable", "starting"),
        refuse(429, "TooManyRequests", "wait"),
        stream(event("ADDED", "a", 2), then=hang),
    )
    assert found == ["ADDED a"]
    assert versions == ["1"] * 4


def test_watches_that_end_at_once_are_not_begun_again_and_again() -> None:
    with serving(stream()) as server, pytest.raises(Unreachable, match="ends every watch at once"):
        list(follow(server, threading.Event(), patience=1.5))
    assert 2 <= len(server.seen) < 10


def test_a_stop_ends_it_although_nothing_happens() -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    started = time.monotonic()
    with serving(stream(then=hang)) as server:
        assert list(follow(server, stop)) == []
        assert time.monotonic() - started < 2


def test_a_stop_ends_it_while_the_server_is_away() -> None:
    stop = threading.Event()
    threading.Timer(0.6, stop.set).start()
    with serving(refuse(503, "ServiceUnavailable", "away")) as server:
        assert list(follow(server, stop, patience=30)) == []
        time.sleep(0.3)
    assert len(server.seen) < 6
