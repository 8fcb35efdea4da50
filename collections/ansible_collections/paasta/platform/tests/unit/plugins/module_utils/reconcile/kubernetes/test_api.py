"""Requests to an API server that answers late, wrongly, half or not at all."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.access import access
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.api import Api
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes.errors import (
    ApiError,
    Expired,
    Unreachable,
)

from .scripted_server import Server, Step, answer, half_an_answer, refuse, serving

MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}, "data": {"k": "v"}}
PATH = "/api/v1/namespaces/n/configmaps"
BUSY = refuse(429, "TooManyRequests", "please wait")
ETCD = refuse(500, "InternalError", "etcdserver: request timed out")
GONE = refuse(410, "Expired", "The provided continue parameter is too old")


@contextmanager
def asked(*steps: Step, patience: float = 10, **options: Any) -> Iterator[tuple[Api, Server]]:
    with serving(*steps) as server:
        api = Api(access({"host": server.url, "api_key": "hush"}), patience=patience, **options)
        try:
            yield api, server
        finally:
            api.close()


def page(*names: str, more: str = "") -> Step:
    items = [{"metadata": {"name": name}} for name in names]
    return answer({"kind": "ConfigMapList", "metadata": {"resourceVersion": "7", "continue": more}, "items": items})


def test_an_apply_is_one_request() -> None:
    with asked(answer({"metadata": {"generation": 1}})) as (api, server):
        assert api.apply(MAP, manager="paasta", force=True, dry_run=True) == {"metadata": {"generation": 1}}
    (seen,) = server.seen
    assert (seen["method"], json.loads(seen["body"])) == ("PATCH", MAP)
    assert seen["path"] == f"{PATH}/a?fieldManager=paasta&force=true&dryRun=All"
    assert seen["headers"]["Content-Type"] == "application/apply-patch+yaml"
    assert seen["headers"]["Authorization"] == "Bearer hush"


def test_characters_that_yaml_would_change_are_escaped() -> None:
    text = 'a\x7f\x85\u2028\ufeff\U0001f600é"\\\n'
    with asked(answer({})) as (api, server):
        api.apply({**MAP, "data": {"k": text}}, manager="paasta")
    body = server.seen[0]["body"].decode()
    assert json.loads(body)["data"]["k"] == text
    assert not {"\x7f", "\x85", "\u2028", "\ufeff"} & set(body)
    # A pair of surrogates is right in JSON and an error in YAML.
    assert "\U0001f600" in body


def test_the_server_says_when_to_come_back() -> None:
    busy = refuse(429, "TooManyRequests", "please wait", Retry_After="1")
    with asked(busy, answer({})) as (api, server):
        started = time.monotonic()
        api.apply(MAP, manager="paasta")
        assert 1 <= time.monotonic() - started < 3
    assert len(server.seen) == 2


def test_429_is_repeated_for_what_is_not_repeated_otherwise() -> None:
    with asked(BUSY, BUSY, answer({"a": 1}, 201)) as (api, server):
        assert api.request("POST", PATH, body=MAP) == {"a": 1}
    assert len(server.seen) == 3


def test_429_for_longer_than_patience_is_told() -> None:
    with asked(BUSY, patience=0.5) as (api, _server), pytest.raises(ApiError) as caught:
        api.apply(MAP, manager="paasta")
    assert str(caught.value) == "PATCH ConfigMap n/a: please wait (429 TooManyRequests)"


@pytest.mark.parametrize("trouble", [ETCD, refuse(503, "ServiceUnavailable", "starting"), half_an_answer])
def test_troubles_of_the_server_pass(trouble: Step) -> None:
    with asked(trouble, trouble, trouble, answer({"ok": True})) as (api, server):
        assert api.apply(MAP, manager="paasta") == {"ok": True}
    assert len(server.seen) == 4


@pytest.mark.parametrize("trouble", [ETCD, refuse(503, "ServiceUnavailable", "starting")])
def test_a_create_is_not_repeated(trouble: Step) -> None:
    with asked(trouble, answer({})) as (api, server), pytest.raises(ApiError):
        api.request("POST", PATH, body=MAP)
    assert len(server.seen) == 1


def test_a_create_that_may_have_been_carried_out_is_not_repeated() -> None:
    with asked(half_an_answer, answer({})) as (api, server), pytest.raises(Unreachable, match="may have been"):
        api.request("POST", PATH, body=MAP)
    assert len(server.seen) == 1


def test_a_delete_is_repeated_only_of_a_certain_object() -> None:
    with asked(half_an_answer, answer({}), half_an_answer) as (api, server):
        api.delete("v1/ConfigMap/n/a", uid="u-1")
        assert json.loads(server.seen[1]["body"])["preconditions"] == {"uid": "u-1"}
        with pytest.raises(Unreachable):
            api.delete("v1/ConfigMap/n/a")
    assert len(server.seen) == 3


def test_what_is_not_there_need_not_be_deleted() -> None:
    with asked(refuse(404, "NotFound", "no such")) as (api, server):
        api.delete("v1/ConfigMap/n/a")
    assert len(server.seen) == 1


def test_a_webhook_that_times_out_is_not_asked_for_long() -> None:
    message = "failed calling webhook x: context deadline exceeded"
    with (
        asked(refuse(500, "InternalError", message)) as (api, server),
        pytest.raises(ApiError, match="calling webhook"),
    ):
        api.apply(MAP, manager="paasta")
    assert len(server.seen) == 3


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    api = Api(access({"host": f"http://127.0.0.1:{port}", "api_key": "hush"}), patience=1)
    started = time.monotonic()
    with pytest.raises(Unreachable, match=f"http://127.0.0.1:{port} does not answer: .*refused"):
        api.request("POST", PATH, body=MAP)
    assert 0.1 < time.monotonic() - started < 4
    api.close()


def test_what_does_not_speak_tls_is_not_asked_again() -> None:
    with serving(answer({})) as server:
        api = Api(access({"host": server.url.replace("http:", "https:"), "api_key": "hush"}), patience=30)
        started = time.monotonic()
        with pytest.raises(Unreachable, match="ca_cert"):
            api.request("GET", PATH)
        assert time.monotonic() - started < 5
        api.close()


def test_another_server_than_that_of_an_api() -> None:
    def login(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "6")
        handler.end_headers()
        handler.wfile.write(b"<html>")

    with asked(login) as (api, _server), pytest.raises(Unreachable, match="<html>"):
        api.request("GET", PATH)


def test_pages_are_joined() -> None:
    with asked(page("a", "b", more="next"), page("c")) as (api, server):
        items, version = api.list(PATH, label_selector="x=y")
    assert [item["metadata"]["name"] for item in items] == ["a", "b", "c"]
    assert {(item["apiVersion"], item["kind"]) for item in items} == {("v1", "ConfigMap")}
    assert version == "7"
    assert [seen["path"] for seen in server.seen] == [
        f"{PATH}?labelSelector=x%3Dy&limit=500",
        f"{PATH}?labelSelector=x%3Dy&limit=500&continue=next",
    ]


def test_pages_that_are_too_old_are_read_anew_in_one_piece() -> None:
    with asked(page("a", more="next"), GONE, page("a", "b")) as (api, server):
        assert [item["metadata"]["name"] for item in api.list(PATH)[0]] == ["a", "b"]
    assert server.seen[2]["path"] == PATH


def test_a_list_that_is_always_too_old_is_told() -> None:
    with asked(page("a", more="next"), GONE) as (api, server), pytest.raises(Expired):
        api.list(PATH)
    assert len(server.seen) == 3


def test_lists_may_come_compressed_and_broken_ones_are_read_again() -> None:
    data = gzip.compress(json.dumps({"kind": "ConfigMapList", "metadata": {}, "items": [{"metadata": {}}]}).encode())

    def compressed(content: bytes) -> Step:
        def step(handler: Any) -> None:
            handler.send_response(200)
            handler.send_header("Content-Encoding", handler.headers["Accept-Encoding"])
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)

        return step

    with asked(compressed(b"x" + data), compressed(data)) as (api, server):
        assert api.list(PATH)[0] == [{"metadata": {}, "apiVersion": "v1", "kind": "ConfigMap"}]
    assert len(server.seen) == 2


def test_a_secret_is_not_in_the_text_of_a_refusal() -> None:
    value = base64.b64encode(b'pass"word').decode()
    message = f'data: Invalid value: "{value}" (pass"word)'
    body = {"kind": "Status", "code": 422, "reason": "Invalid", "message": message}
    body["details"] = {"causes": [{"message": message, "field": "data"}]}
    secret = {**MAP, "kind": "Secret", "data": {"k": value}}
    with asked(answer(body, 422)) as (api, _server), pytest.raises(ApiError) as caught:
        api.apply(secret, manager="paasta")
    text = str(caught.value) + repr(caught.value) + str(caught.value.causes)
    assert "Invalid value" in text
    assert value not in text
    assert "word" not in text


def test_results_are_in_the_order_of_the_items_and_refusals_in_their_place() -> None:
    def echo(handler: Any) -> None:
        number = int(handler.path.rsplit("/", 1)[1])
        time.sleep(0.05 if number == 0 else 0)
        (refuse(404, "NotFound", "no") if number == 3 else answer({"n": number}))(handler)

    with asked(echo, concurrency=4) as (api, _server):
        results = api.map(lambda number: api.request("GET", f"{PATH}/{number}")["n"], range(8))
    assert isinstance(results[3], ApiError)
    assert [each for each in results if not isinstance(each, ApiError)] == [0, 1, 2, 4, 5, 6, 7]


def test_a_failure_that_is_no_refusal_ends_a_map_and_the_next_one_works() -> None:
    begun = []

    def function(number: int) -> int:
        begun.append(number)
        if number == 2:
            raise Unreachable("gone")
        time.sleep(0.01)
        return number

    with asked(answer({}), concurrency=2) as (api, _server):
        with pytest.raises(Unreachable, match="gone"):
            api.map(function, range(100))
        assert len(begun) < 10
        assert api.map(lambda number: number, range(5)) == [0, 1, 2, 3, 4]


def test_a_map_within_a_map_does_not_wait_for_itself() -> None:
    with asked(answer({}), concurrency=2) as (api, _server):
        results = api.map(lambda number: sum(api.map(lambda each: each * number, [1, 2])), range(6))  # type: ignore[arg-type]
    assert results == [0, 3, 6, 9, 12, 15]


def test_no_more_requests_at_once_than_allowed_and_connections_are_kept() -> None:
    inside, most, connections, lock = [0], [0], set(), threading.Lock()

    def step(handler: Any) -> None:
        with lock:
            connections.add(handler.client_address)
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.02)
        with lock:
            inside[0] -= 1
        answer({})(handler)

    with asked(step, concurrency=3) as (api, _server):
        threads = [threading.Thread(target=api.request, args=("GET", PATH)) for _each in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        api.map(lambda _each: api.request("GET", PATH), range(30))
    assert most[0] == 3
    assert len(connections) <= 3


def test_changes_keep_to_the_rate_and_dry_runs_and_reads_do_not() -> None:
    with asked(answer({}), rate=20, concurrency=4) as (api, _server):
        started = time.monotonic()
        api.map(lambda _each: api.apply(MAP, manager="m", dry_run=True), range(20))
        api.map(lambda _each: api.request("GET", PATH), range(20))
        assert time.monotonic() - started < 0.9
        started = time.monotonic()
        api.map(lambda _each: api.apply(MAP, manager="m"), range(11))
        assert 0.49 < time.monotonic() - started < 2


def test_each_impersonated_group_is_a_header_of_its_own() -> None:
    with serving(answer({})) as server:
        who = {"impersonate_user": "bob", "impersonate_groups": ["dev", "ops"]}
        api = Api(access({"host": server.url, "api_key": "hush", **who}))
        api.request("GET", PATH)
        api.close()
    headers = server.seen[0]["headers"]
    assert headers["Impersonate-User"] == "bob"
    assert headers.get_all("Impersonate-Group") == ["dev", "ops"]


def test_a_server_below_the_root_of_its_url() -> None:
    with serving(answer({})) as server:
        api = Api(access({"host": f"{server.url}/k8s/clusters/c-1/", "api_key": "hush"}))
        api.request("GET", PATH)
        api.close()
    assert server.seen[0]["path"] == f"/k8s/clusters/c-1{PATH}"
