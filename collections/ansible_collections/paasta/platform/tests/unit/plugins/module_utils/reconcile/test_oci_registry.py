"""Questions to a registry, with a real HTTP server in its place."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.oci_registry import (
    REGISTRY,
    Registry,
    RegistryError,
    is_loopback,
)


class FakeRegistry:
    """Answers as a registry does; ``protect`` makes it ask who one is."""

    def __init__(self) -> None:
        self.manifests: set[str] = set()
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.protect = ""
        self.broken = 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                fake.requests.append((self.command, self.path, dict(self.headers)))
                status, headers, body = fake.answer(self.path, self.headers.get("Authorization", ""))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.name = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, path: str, authorization: str) -> tuple[int, dict[str, str], bytes]:
        user = base64.b64encode(b"robot:secret").decode()
        if path.startswith("/token"):
            if authorization != f"Basic {user}":
                return 401, {}, b""
            return 200, {}, json.dumps({"token": "a-token"}).encode()
        if self.broken:
            return self.broken, {}, b""
        wanted = {"": "", "basic": f"Basic {user}", "bearer": "Bearer a-token"}[self.protect]
        if authorization != wanted:
            bearer = f'Bearer realm="http://{self.name}/token",service="fake",scope="repository:x:pull"'
            return 401, {"WWW-Authenticate": 'Basic realm="fake"' if self.protect == "basic" else bearer}, b""
        return (200 if path == "/v2/" or path in self.manifests else 404), {}, b"{}"


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    fake = FakeRegistry()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.fixture
def connect() -> Iterator[Callable[..., Registry]]:
    opened = []

    def connected(name: str, **options: object) -> Registry:
        registry = Registry(name, **{"insecure": True, "timeout": 5, **options})
        opened.append(registry)
        registry.connect()
        return registry

    yield connected
    for registry in opened:
        registry.close()


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: FakeRegistry) -> None:
    auth = base64.b64encode(b"robot:secret").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {fake.name: {"auth": auth}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


def test_asks_with_head_for_all_kinds_of_manifest(fake: FakeRegistry, connect: Callable[..., Registry]) -> None:
    fake.manifests.add("/v2/services-web/manifests/paasta-abc")
    registry = connect(fake.name)
    assert registry.has("services-web", "paasta-abc")
    assert not registry.has("services-web", "paasta-other")
    method, _path, headers = fake.requests[-1]
    assert method == "HEAD"
    assert "application/vnd.oci.image.index.v1+json" in headers["Accept"]
    assert "application/vnd.docker.distribution.manifest.v2+json" in headers["Accept"]


def test_a_path_in_the_registry_is_part_of_the_repository(fake: FakeRegistry, connect: Callable[..., Registry]) -> None:
    fake.manifests.add("/v2/team/a/services-web/manifests/paasta-abc")
    assert connect(f"{fake.name}/team/a").has("services-web", "paasta-abc")


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize("kind", ["basic", "bearer"])
def test_credentials_come_from_dockers_configuration(
    fake: FakeRegistry, connect: Callable[..., Registry], kind: str
) -> None:
    fake.protect = kind
    fake.manifests.add("/v2/services-web/manifests/paasta-abc")
    registry = connect(fake.name)
    assert registry.has("services-web", "paasta-abc")
    assert not registry.has("services-web", "paasta-other")
    assert "Authorization" not in fake.requests[0][2], "nothing is sent before it is asked for"


@pytest.mark.parametrize("kind", ["basic", "bearer"])
def test_without_credentials_the_error_says_how_to_log_in(
    fake: FakeRegistry,
    connect: Callable[..., Registry],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    fake.protect = kind
    with pytest.raises(RegistryError, match=rf"HTTP 401: run `docker login {fake.name}`"):
        connect(fake.name).has("services-web", "paasta-abc")


def test_an_error_of_the_registry_is_not_a_missing_image(fake: FakeRegistry, connect: Callable[..., Registry]) -> None:
    registry = connect(fake.name)
    fake.broken = 503
    with pytest.raises(RegistryError, match="services-web/manifests/paasta-abc failed: HTTP 503"):
        registry.has("services-web", "paasta-abc")


def test_a_server_that_is_no_registry(fake: FakeRegistry, connect: Callable[..., Registry]) -> None:
    fake.broken = 404
    with pytest.raises(RegistryError, match="http://.*HTTP 404, which is not what a registry answers"):
        connect(fake.name)


def test_nobody_listens(fake: FakeRegistry, connect: Callable[..., Registry]) -> None:
    fake.server.shutdown()
    fake.server.server_close()
    with pytest.raises(RegistryError, match=r"http://.*Connection refused; https://.*Connection refused.*running"):
        connect(fake.name)


def test_plain_http_only_where_it_is_allowed(fake: FakeRegistry, connect: Callable[..., Registry]) -> None:
    with pytest.raises(RegistryError, match="https://"):
        connect(fake.name, insecure=False)
    assert fake.requests == []
    connect(fake.name, insecure=False, scheme="http")


def test_loopback_is_never_asked_through_a_proxy(
    fake: FakeRegistry, connect: Callable[..., Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    connect(fake.name)
    assert fake.requests


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8:5000", "localhost:5000", "[::1]:5000", "r.localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1:5000", "registry.example.com", "[2001:db8::1]:5000", "127.example.com"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("name", ["127.0.0.1:5000", "registry.example.com/team/a", "[::1]:5000", "localhost"])
def test_registry_name(name: str) -> None:
    assert REGISTRY.fullmatch(name)


@pytest.mark.parametrize("name", ["http://r.example.com", "user:secret@r.example.com", "r.example.com/", "", "r:x"])
def test_no_registry_name(name: str) -> None:
    assert not REGISTRY.fullmatch(name)
