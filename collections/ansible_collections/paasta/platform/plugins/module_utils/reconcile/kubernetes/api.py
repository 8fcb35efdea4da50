# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""An API server, asked in plain JSON over kept-alive connections by many threads at once.

The client models of the ``kubernetes`` package cost more than the server's own work; here an object is what
``json.loads`` makes of it.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode

try:
    import urllib3
    from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProxyError, SSLError
except ImportError:  # libraries.py says so
    pass

from . import kinds
from .access import Access
from .errors import ApiError, Expired, Unreachable, cause, refusal
from .retry import Gate, Pace, Patience
from .watch import events

Item = TypeVar("Item")
Result = TypeVar("Result")
Object = dict[str, Any]
# Named here: in the class, `list` is a method of it.
Objects: TypeAlias = "list[Object]"
Outcomes: TypeAlias = "list[Result | ApiError]"

_APPLY = "application/apply-patch+yaml"
_PAGE = 500
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_ONE_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

# A server that has just started answers before it knows all roles and tokens. Seconds after a disturbance in which
# 401 and 403 are asked again.
_SETTLING = 30.0

# 500 is said for many things. These pass by themselves; another one is asked again only so often.
_STORE = re.compile(r"etcd|leader changed|rpc error|timed? ?out|deadline exceeded|try again", re.IGNORECASE)
_BENEFIT_OF_DOUBT = 2

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
# What JSON may contain as it is and YAML, as which the server reads an apply, may not or folds.
_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class Api:
    """One API server. Safe for use by many threads.

    :param concurrency: requests under way at most, watches not counted.
    :param rate: changes per second at most, dry runs not counted; None for no limit.
    :param timeout: seconds in which the server must begin to answer, and between parts of the answer.
    :param patience: seconds for which a request is tried again after its first failure.
    """

    def __init__(
        self,
        access: Access,
        *,
        concurrency: int = 16,
        rate: float | None = None,
        timeout: float = 30.0,
        patience: float = 60.0,
    ) -> None:
        self._access = access
        self._concurrency = concurrency
        self._timeout = timeout
        self._patience = patience
        self._gate = Gate(concurrency)
        self._pace = Pace(rate)
        self._disturbed = 0.0
        self._renewal = threading.Lock()
        self._pool = _pool(access, concurrency)
        self._pool_version = access.version
        self._workers: ThreadPoolExecutor | None = None
        self._working = threading.local()

    @property
    def server(self) -> str:
        return self._access.server

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        timeout: float | None = None,
    ) -> Object:
        """One request; what the server answers.

        :param query: parameters; those that are None are left out.
        :raises ApiError: the server refuses it.
        :raises Unreachable: it does not answer, or broke off a request that must not be repeated blindly.
        """
        data = self._ask(method, path, query=query, body=body, content_type=content_type, timeout=timeout)
        return self._parsed(data)

    def text(self, path: str, *, query: Mapping[str, Any] | None = None) -> str:
        """What is not JSON: logs."""
        return self._ask("GET", path, query=query, accept="*/*").decode(errors="replace")

    def list(
        self,
        path: str,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        metadata_only: bool = False,
    ) -> tuple[Objects, str]:
        """All objects of a collection, page by page, each with apiVersion and kind; and the version to watch from."""
        query = {"labelSelector": label_selector, "fieldSelector": field_selector, "limit": _PAGE}
        accept = _METADATA if metadata_only else "application/json"
        items: Objects = []
        while True:
            try:
                page = self._parsed(self._ask("GET", path, query=query, accept=accept))
            except Expired:
                if not query.get("continue"):
                    raise
                # Reading took longer than the server keeps old versions. From the beginning, in one piece.
                items = []
                query = {**query, "limit": None, "continue": None}
                continue
            items += page.get("items") or []
            if not page["metadata"].get("continue"):
                break
            query = {**query, "continue": page["metadata"]["continue"]}
        kind = kinds.at(path)
        names = (kind.api_version, kind.kind) if kind else (page["apiVersion"], page["kind"].removesuffix("List"))
        for item in items:
            item["apiVersion"], item["kind"] = names
        return items, page["metadata"].get("resourceVersion", "")

    def apply(
        self,
        manifest: Mapping[str, Any],
        *,
        manager: str,
        force: bool = False,
        dry_run: bool = False,
        metadata_only: bool = False,
    ) -> Object:
        """Server-side apply; the object as it is then, or only its metadata, which spares both sides some work."""
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        path, accept = kinds.path(manifest), _ONE_METADATA if metadata_only else "application/json"
        data = self._ask("PATCH", path, query=query, body=manifest, content_type=_APPLY, accept=accept)
        found = self._parsed(data)
        if metadata_only:
            found |= {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"]}
        return found

    def delete(
        self,
        thing: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: str = "Background",
        dry_run: bool = False,
    ) -> None:
        """Delete one object; if it is not there, that is well.

        :param thing: a path or a reference.
        :param uid: delete this very object, not one of the same name made since.
        """
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        required = {"uid": uid, "resourceVersion": resource_version}
        if any(required.values()):
            body["preconditions"] = {key: value for key, value in required.items() if value}
        if dry_run:
            body["dryRun"] = ["All"]
        path = thing if thing.startswith("/") else kinds.path(thing)
        try:
            self.request("DELETE", path, query={"dryRun": "All" if dry_run else None}, body=body)
        except ApiError as error:
            if error.status != 404:
                raise

    def watch(
        self,
        path: str,
        *,
        resource_version: str,
        stop: threading.Event,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> Iterator[Object]:
        """What changes after a version, as ``{"type": "ADDED"|"MODIFIED"|"DELETED", "object": ...}``, until ``stop``.

        :raises Expired: the version is too old; list again.
        """
        query = {"labelSelector": label_selector, "fieldSelector": field_selector}

        def connect(more: Mapping[str, Any], timeout: float) -> Any:
            query_ = {**query, **more}
            return self._exchange("GET", path, query=query_, timeout=timeout, stream=True, pause=stop.wait)

        return events(connect, resource_version, stop, self._patience)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Outcomes[Result]:
        """``function`` of each item, as many at once as the concurrency allows; results in the order of the items.

        An ApiError is returned in its place. Anything else is raised, and what has not begun then is not begun.
        Within ``function`` another ``map`` runs one by one, in the same thread.
        """

        if getattr(self._working, "busy", False):
            return [_outcome(function, item) for item in items]
        inputs = list(items)
        outcomes: dict[int, Result | ApiError] = {}
        left = iter(range(len(inputs)))
        over = threading.Event()

        def work() -> None:
            self._working.busy = True
            try:
                # A future for each item would cost as much as a tenth of its request.
                while not over.is_set() and (number := next(left, None)) is not None:
                    outcomes[number] = _outcome(function, inputs[number])
            except BaseException:
                over.set()
                raise
            finally:
                self._working.busy = False

        if self._workers is None:
            self._workers = ThreadPoolExecutor(self._concurrency, thread_name_prefix="kubernetes")
        futures = [self._workers.submit(work) for _each in range(min(self._concurrency, len(inputs)))]
        try:
            for future in futures:
                future.result()
        finally:
            over.set()
        return [outcomes[number] for number in range(len(inputs))]

    def close(self) -> None:
        if self._workers is not None:
            self._workers.shutdown(cancel_futures=True)
            self._workers = None
        self._pool.close()

    def _parsed(self, data: bytes) -> Object:
        try:
            parsed: Object = json.loads(data)
        except ValueError as error:
            raise Unreachable(f"{self.server} does not answer as an API server does: {data[:80]!r}") from error
        return parsed

    def _ask(self, method: str, path: str, **options: Any) -> bytes:
        data: bytes = self._exchange(method, path, **options).data
        return data

    def _exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        accept: str = "application/json",
        timeout: float | None = None,
        stream: bool = False,
        pause: Callable[[float], bool | None] = time.sleep,
    ) -> Any:
        """Send a request until it is answered for good; returns the response, its status below 300.

        :param pause: waits so many seconds before another attempt; true: there is to be none.
        """
        target = self._access.prefix + path
        if parameters := {key: value for key, value in (query or {}).items() if value is not None}:
            target += "?" + urlencode(parameters)
        dry = bool(query and query.get("dryRun"))
        again = dry or _repeatable(method, content_type, body)
        headers = {"Accept": accept, "User-Agent": "paasta"}
        if method == "GET" and not stream:
            # Costs the server nothing that can be measured, and saves two thirds of the work to take in a list.
            headers["Accept-Encoding"] = "gzip"
        data = None
        if body is not None:
            headers["Content-Type"] = content_type or "application/json"
            data = _json(body)
        patience = Patience(self._patience)
        renewed = False
        while True:
            if method != "GET" and not dry:
                self._pace.wait()
            if not stream:
                self._gate.enter()
            try:
                version, sent = self._access.version, self._headers(headers)
                response = self._pool.request(
                    method,
                    target,
                    body=data,
                    headers=sent,
                    timeout=timeout or self._timeout,
                    retries=False,
                    redirect=False,
                    assert_same_host=False,
                    preload_content=not stream,
                )
            except (HTTPError, OSError) as error:
                delay = self._after_break(error, patience, again)
            else:
                if response.status < 300:
                    return response
                failure = refusal(response.status, response.data, kinds.subject(method, path), body)
                if failure.status == 401 and not renewed and self._access.renew(sent, version):
                    renewed = True
                    self._reconnect()
                    continue
                delay = self._after_refusal(failure, response.headers.get("Retry-After"), patience, again)
            finally:
                if not stream:
                    self._gate.leave()
            if pause(delay):
                raise Unreachable(f"{self.server}: stopped before it answered {kinds.subject(method, path)}")

    def _headers(self, own: Mapping[str, str]) -> Mapping[str, str]:
        headers = {**own, **self._access.headers()}
        if not self._access.groups:
            return headers
        several = urllib3.HTTPHeaderDict(headers)
        for group in self._access.groups:
            several.add("Impersonate-Group", group)
        return several

    def _reconnect(self) -> None:
        """Somebody else asks from now on; a connection is of who has made it, where that is said by a certificate."""
        with self._renewal:
            if self._pool_version != self._access.version:
                self._pool = _pool(self._access, self._concurrency)
                self._pool_version = self._access.version

    def _after_break(self, error: Exception, patience: Patience, again: bool) -> float:
        """Seconds until a request is sent again that was not answered, or raises Unreachable."""
        self._disturbed = time.monotonic()
        if _distrusted(error):
            raise Unreachable(
                f"{self.server}: {cause(error)}: is ca_cert (or the kubeconfig's certificate-authority) the one that "
                "signed its certificate, and is the client certificate one that it accepts?"
            ) from error
        if not again and not isinstance(error, NewConnectionError | ConnectTimeoutError | ProxyError):
            raise Unreachable(
                f"{self.server} broke off a request that may have been carried out: {cause(error)}"
            ) from error
        delay = patience.delay()
        if delay is None:
            raise Unreachable(f"{self.server} does not answer: {cause(error)}") from error
        return delay

    def _after_refusal(self, error: ApiError, told: str | None, patience: Patience, again: bool) -> float:
        """Seconds until a refused request is sent again, or raises the refusal."""
        settling = error.status in (401, 403) and time.monotonic() - self._disturbed < _SETTLING
        if error.status == 429:
            self._gate.narrow()
        elif error.status in (502, 503, 504):
            self._disturbed = time.monotonic()
        passes = error.status == 429 or settling
        if again and error.status == 500:
            passes = _passes(error.message) or patience.attempts < _BENEFIT_OF_DOUBT
        elif again and error.status in (502, 503, 504):
            passes = True
        delay = patience.delay(float(told) if told and told.isdigit() else None) if passes else None
        if delay is None:
            raise error
        return delay


def _outcome(function: Callable[[Item], Result], item: Item) -> Result | ApiError:
    try:
        return function(item)
    except ApiError as error:
        return error


def _pool(access: Access, size: int) -> Any:
    options: dict[str, Any] = {"maxsize": size, "block": False}
    if access.tls is not None:
        options["ssl_context"] = access.tls
        if access.server_name:
            options["server_hostname"] = access.server_name
    if access.proxy:
        return urllib3.ProxyManager(access.proxy, proxy_headers=access.proxy_headers, **options).connection_from_url(
            access.server
        )
    return urllib3.PoolManager(**options).connection_from_url(access.server)


def _repeatable(method: str, content_type: str | None, body: Mapping[str, Any] | None) -> bool:
    """Whether sending a request twice does what sending it once does."""
    if method == "GET" or content_type == _APPLY:
        return True
    if method == "DELETE":
        return bool(body and body.get("preconditions", {}).get("uid"))
    return method in ("PUT", "PATCH") and bool(body and body.get("metadata", {}).get("resourceVersion"))


def _passes(message: str) -> bool:
    """Whether a 500 is the store's trouble, which ends by itself. A webhook that times out may do so for ever."""
    return bool(_STORE.search(message)) and "webhook" not in message


def _distrusted(error: Exception) -> bool:
    """Whether TLS itself failed. A connection that ends within it is like any other that ends."""
    inner = error.args[0] if isinstance(error, SSLError) and error.args else error
    broken = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
    return isinstance(inner, ssl.SSLError) and not isinstance(inner, broken)


def _json(body: Mapping[str, Any]) -> bytes:
    text = _encode(body)
    if not text.isascii() or "\x7f" in text:
        text = _NOT_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return text.encode()
