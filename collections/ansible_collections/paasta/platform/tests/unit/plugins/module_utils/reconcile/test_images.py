"""Building and pushing images: real make and git, HTTP servers in the place of Docker Engine and the registry."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import docker
import pytest
from ansible_collections.paasta.platform.plugins.module_utils import progress
from ansible_collections.paasta.platform.plugins.module_utils.reconcile import images

SHA = "0c3a9b1f4ad2e31d4ee0f7a0c62b4e5db86fa1c9"
API = "1.44"


class FakeServers:
    """Docker Engine and a registry in one: what a push is told of is what a manifest is found of."""

    def __init__(self, directory: Path) -> None:
        self.built = directory / "built"
        self.built.touch()
        self.tags: dict[str, str] = {}
        self.pushed: set[str] = set()
        self.refuse = ""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, body = fake.answer(self.command, self.path.removeprefix(f"/v{API}"))
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                if "/push" in self.path:
                    # As Docker Engine does: progress comes in chunks, one JSON document after the other.
                    self.send_header("Transfer-Encoding", "chunked")
                    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*body.splitlines(True), b""])
                else:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_POST = do_DELETE = do_GET

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.name = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def images(self) -> set[str]:
        return set(self.built.read_text().split()) | set(self.tags)

    def answer(self, method: str, path: str) -> tuple[int, bytes]:
        document: Any = {"message": "no such image"}
        path, _question, query = path.partition("?")
        if path == "/version":
            return 200, json.dumps({"ApiVersion": API, "Version": "25.0", "MinAPIVersion": "1.24"}).encode()
        if path == "/v2/":
            return 200, b"{}"
        if match := re.fullmatch(r"/v2/(.*)/manifests/(.*)", path):
            return (200 if f"{match[1]}:{match[2]}" in self.pushed else 404), b"{}"
        if method == "GET" and (match := re.fullmatch(r"/images/(.*)/json", path)):
            name = match[1].replace("%3A", ":")
            if name in self.images():
                return 200, json.dumps({"Id": f"sha256:{name}", "RepoTags": sorted(self.images())}).encode()
            return 404, json.dumps(document).encode()
        if match := re.fullmatch(r"/images/(.*)/tag", path):
            options = dict(part.split("=") for part in query.replace("%3A", ":").replace("%2F", "/").split("&"))
            self.tags[f"{options['repo']}:{options['tag']}"] = match[1]
            return 201, b""
        if match := re.fullmatch(r"/images/(.*)/push", path):
            if self.refuse:
                error = {"errorDetail": {"message": self.refuse}, "error": self.refuse}
                return 200, b'{"status":"Preparing"}\r\n' + json.dumps(error).encode()
            repository = match[1].partition("/")[2]
            self.pushed.add(f"{repository}:{query.removeprefix('tag=')}")
            return 200, b'{"status":"Preparing"}\r\n{"status":"Pushed"}\r\n'
        if method == "DELETE":
            self.tags.pop(path.removeprefix("/images/").replace("%3A", ":"))
            return 200, b"[]"
        return 500, json.dumps({"message": f"the fake does not know {method} {path}"}).encode()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServers]:
    fake = FakeServers(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://{fake.name}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.fixture
def source(tmp_path: Path, fake: FakeServers) -> Any:
    """Makes the source directory of a service; by default its target "builds" by telling the fake Engine."""

    def make(service: str, recipe: str = f"@echo $(DOCKER_TAG) >> {fake.built}") -> dict[str, str]:
        directory = tmp_path / "sources" / service
        directory.mkdir(parents=True)
        (directory / "Makefile").write_text(f"cook-image:\n\t{recipe}\nitest: cook-image\n\t@echo tested\n")
        return {"service": service, "path": str(directory), "git_sha": SHA}

    return make


def call(fake: FakeServers, *services: dict[str, str], check_mode: bool = False, **changes: Any) -> dict[str, Any]:
    args: dict[str, Any] = {
        "services": list(services),
        "registry": fake.name,
        "registry_scheme": "auto",
        "target": "cook-image",
        "allow_dirty": False,
        "force": False,
        "timeout": 60,
        "concurrency": 2,
    }
    return images.run(args | changes, check_mode, True)


def outline(result: dict[str, Any]) -> dict[str, tuple[bool, bool]]:
    return {image["service"]: (image["built"], image["pushed"]) for image in result["images"]}


def test_builds_and_pushes_what_is_missing_and_then_nothing(fake: FakeServers, source: Any) -> None:
    services = [source("web"), source("worker")]
    result = call(fake, *services)
    assert not result.get("failed"), result
    assert result["changed"]
    assert outline(result) == {"web": (True, True), "worker": (True, True)}
    assert result["images"][0] | {"seconds": 0} == {
        "service": "web",
        "git_sha": SHA,
        "image": f"services-web:paasta-{SHA}",
        "built": True,
        "pushed": True,
        "seconds": 0,
    }
    assert fake.pushed == {f"services-web:paasta-{SHA}", f"services-worker:paasta-{SHA}"}
    assert fake.tags == {}, "the name with the registry is only for the push"
    assert result["diff"]["before"] == dict.fromkeys(
        (f"services-{name}:paasta-{SHA}" for name in ("web", "worker")), "absent"
    )
    again = call(fake, *services)
    assert not again["changed"]
    assert outline(again) == {"web": (False, False), "worker": (False, False)}
    assert again["diff"]["before"] == again["diff"]["after"]


def test_what_the_engine_has_is_only_pushed(fake: FakeServers, source: Any) -> None:
    service = source("web", recipe="@false")
    fake.built.write_text(f"services-web:paasta-{SHA}\n")
    assert outline(call(fake, service)) == {"web": (False, True)}


def test_force_builds_and_pushes_again(fake: FakeServers, source: Any) -> None:
    service = source("web")
    call(fake, service)
    result = call(fake, service, force=True)
    assert outline(result) == {"web": (True, True)}
    assert set(result["diff"]["after"].values()) == {"rebuilt"}
    assert len(fake.built.read_text().split()) == 2


def test_check_mode_says_what_would_be_done_and_does_nothing(fake: FakeServers, source: Any) -> None:
    service = source("web")
    result = call(fake, service, check_mode=True)
    assert result["changed"]
    assert outline(result) == {"web": (True, True)}
    assert fake.built.read_text() == ""
    assert fake.pushed == set()
    call(fake, service)
    assert not call(fake, service, check_mode=True)["changed"]


def test_the_version_comes_from_git(fake: FakeServers, source: Any) -> None:
    service = source("web") | {"git_sha": None}
    for command in ("init -q", "add .", "-c user.name=x -c user.email=x@example.com commit -qm x"):
        subprocess.run(["git", *command.split()], cwd=service["path"], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=service["path"], capture_output=True, text=True, check=True)
    assert call(fake, service)["images"][0]["git_sha"] == head.stdout.strip()


def test_a_failed_build_shows_its_last_lines_and_spares_the_others(fake: FakeServers, source: Any) -> None:
    failing = [source(name, recipe=f"@seq 100; echo {name} broke >&2; exit 3") for name in ("bad", "worse")]
    result = call(fake, failing[0], source("good"), failing[1])
    assert result["failed"]
    assert result["changed"]
    assert outline(result) == {"good": (True, True)}
    assert [error["service"] for error in result["errors"]] == ["bad", "worse"]
    message = result["msg"]
    assert message.startswith(
        f"2 of 3 images did not reach {fake.name}\n* bad: `DOCKER_TAG=services-bad:paasta-{SHA} make -C "
    )
    assert "exited with status 2; its last lines:" in message
    assert "    bad broke" in message
    assert "    worse broke" in message
    assert "    100\n" in message
    assert "    80\n" not in message


def test_a_target_that_does_not_tag_the_image_is_told_how(fake: FakeServers, source: Any) -> None:
    result = call(fake, source("web", recipe="@true"))
    assert f"succeeded, but Docker Engine has no image services-web:paasta-{SHA}" in result["msg"]
    assert "docker build --tag $(DOCKER_TAG)" in result["msg"]


def test_an_error_in_the_stream_of_a_push_is_an_error(fake: FakeServers, source: Any) -> None:
    fake.refuse = "no space left on device"
    result = call(fake, source("web"))
    assert result["failed"]
    assert not result["changed"]
    assert f"the push of {fake.name}/services-web:paasta-{SHA} failed: no space left on device" in result["msg"]
    assert fake.tags == {}


def test_a_build_that_takes_too_long_is_stopped(fake: FakeServers, source: Any) -> None:
    started = time.monotonic()
    result = call(fake, source("web", recipe="@echo waiting; sleep 100"), timeout=1)
    assert time.monotonic() - started < 15
    assert "was stopped after 1 s (`timeout`); its last lines:\n" in result["msg"]
    assert "\n    waiting\n" in result["msg"]


def test_the_build_gets_no_input_and_nothing_of_a_calling_make(
    fake: FakeServers, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEFLAGS", "n -- NODES=3")
    monkeypatch.setenv("MAKELEVEL", "1")
    recipe = f'@test -z "$$(cat)" && test "$(MAKELEVEL)" = 0 && echo $(DOCKER_TAG) >> {fake.built}'
    assert outline(call(fake, source("web", recipe=recipe))) == {"web": (True, True)}


def test_itest_is_the_target_when_asked_for(fake: FakeServers, source: Any) -> None:
    service = source("web")
    makefile = Path(service["path"], "Makefile")
    makefile.write_text(makefile.read_text().replace("tested", f"tested > {fake.built}.itest"))
    call(fake, service, target="itest")
    assert Path(f"{fake.built}.itest").exists()


def test_all_wrong_input_is_reported_before_anything_is_built(fake: FakeServers, source: Any, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    good = source("good")
    result = call(
        fake,
        good,
        good,
        {"service": "Upper", "path": good["path"], "git_sha": SHA},
        {"service": "gone", "path": "/nonexistent", "git_sha": SHA},
        {"service": "empty", "path": str(empty), "git_sha": SHA},
        {"service": "tagged", "path": good["path"], "git_sha": "v1.2"},
        {"service": "nogit", "path": good["path"], "git_sha": ""},
        registry="http://registry.example.com",
        concurrency=0,
    )
    assert result["failed"]
    assert fake.built.read_text() == ""
    assert [error["service"] for error in result["errors"]] == ["good", "Upper", "gone", "empty", "tagged", "nogit"]
    for expected in (
        "nothing was built",
        "concurrency is 0",
        "registry 'http://registry.example.com' is not host",
        "good: it is listed twice",
        "Upper: no image can have this name",
        "gone: its source directory /nonexistent does not exist",
        "has no Makefile: the contract is a target `cook-image`",
        "tagged: git_sha 'v1.2' is not the name of a commit",
        "is not in a git repository",
    ):
        assert expected in result["msg"]


def test_a_registry_that_is_down_is_one_error(fake: FakeServers, source: Any) -> None:
    result = call(fake, source("web"), source("worker"), registry="127.0.0.1:1")
    assert result["failed"]
    assert result["msg"].count("Connection refused") == 2, "one for http, one for https"
    assert fake.built.read_text() == ""


def test_no_engine_matters_only_if_something_is_missing(
    fake: FakeServers, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = source("web")
    call(fake, service)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    assert not call(fake, service)["changed"]
    result = call(fake, source("worker"))
    assert result["failed"]
    assert "Docker Engine does not answer: No such file or directory" in result["msg"]


def test_progress_is_told(fake: FakeServers, source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(progress, "emit", lambda kind, **fields: told.append((kind, fields["text"])))
    call(fake, source("web"))
    assert told == [("step", "building (1 of 1)"), ("step", "pushing (1 of 1)"), ("done", "in the registry")]


def test_no_services_is_no_work(fake: FakeServers) -> None:
    assert call(fake, registry="127.0.0.1:1") | {"diff": None} == {"changed": False, "images": [], "diff": None}


def _engine_answers() -> bool:
    try:
        client = docker.from_env(timeout=2)
    except docker.errors.DockerException:
        return False
    client.close()
    return shutil.which("docker") is not None


@pytest.mark.skipif(not _engine_answers(), reason="no Docker Engine here; the Molecule scenario builds for real")
def test_an_image_is_really_built(tmp_path: Path) -> None:
    """The push itself needs a registry: what Docker Engine says of a dead one has to reach the user."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    (tmp_path / "Makefile").write_text("cook-image:\n\tdocker build --tag $(DOCKER_TAG) .\n")
    order = images.Order("unit-test-of-service-images", str(tmp_path), SHA)
    args = {"target": "cook-image", "force": False, "timeout": 60}
    registry = images.Registry("127.0.0.1:1", insecure=True)
    works = images.Works(args, registry, False, 1)
    with images.engine(60) as client:
        try:
            works._build(order)
            assert client.images.get(order.image).tags == [order.image]
            with pytest.raises(images.ImageError, match=r"127.0.0.1:1/.* failed: .*connection refused"):
                works._push(client, order)
            assert client.images.get(order.image).tags == [order.image]
        finally:
            client.images.remove(order.image, force=True)
    registry.close()
