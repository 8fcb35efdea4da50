# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""How secrets reach containers. The agent is a real process on this machine, which writes to its own /dev/shm."""

from __future__ import annotations

import base64
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import docker
import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile import handover as handover_module
from ansible_collections.paasta.platform.plugins.module_utils.reconcile import host_agent
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.agents import AgentError, HostAgent
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.channel import Channel
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.cleartext import (
    Cleartexts,
    NoSecret,
    forms,
    redact,
)
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.fleet import Creation, Fleet, Host, HostError
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.handover import Handover
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.replicas import Replica, read
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.resolving import resolver
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import SecretRef
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.reconcile.factories import (
    CONTAINER,
    NOW,
    inspect,
)

HERE = Channel.parse("unix:///nowhere.sock")
TOKEN, BINARY, TLS = SecretRef("web", "token"), SecretRef("web", "binary"), SecretRef("_shared", "tls")
VALUES = {TOKEN: b"correct horse", BINARY: b"\xff\x00\xfe", TLS: b"line one\nline two\n"}

needs_memory = pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="no /dev/shm on this machine")


def use(secret: SecretRef, **more: str) -> dict[str, str]:
    return {"service": secret.service, "name": secret.name, "digest": "0" * 64, **more}


SECRETS: dict[str, Any] = {
    "env": {"TOKEN": use(TOKEN)},
    "files": [
        use(TLS, directory="/etc/tls", path="private/key.pem", mode="0400"),
        use(TLS, directory="/etc/tls", path="copy", mode="0444"),
        use(BINARY, directory="/etc/binary", path="binary", mode="0644"),
    ],
}


class Store:
    """What decrypts, and how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[SecretRef]] = []

    def __call__(self, wanted: Iterable[SecretRef]) -> Mapping[SecretRef, bytes]:
        self.asked.append(list(wanted))
        if unknown := [secret.file for secret in self.asked[-1] if secret not in VALUES]:
            raise NoSecret(f"cannot be had: {', '.join(unknown)}")
        return {secret: VALUES[secret] for secret in self.asked[-1]}


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    top = Path(tempfile.mkdtemp(dir="/dev/shm"))
    monkeypatch.setattr(handover_module, "ROOT", str(top / "secrets"))
    yield top / "secrets" / "local"
    shutil.rmtree(top)


@pytest.fixture
def agent() -> Iterator[HostAgent]:
    found = HostAgent("node1", HERE)
    yield found
    found.close()


@pytest.fixture
def handover(root: Path, agent: HostAgent) -> Handover:
    made = Handover({"node1": agent}, "local", Cleartexts(Store()))
    made.prepare([SECRETS])
    return made


def container(name: str, sources: Iterable[str] = ()) -> Replica:
    mounts = [{"Type": "bind", "Source": source, "Target": "/x", "ReadOnly": True} for source in sources]
    found = inspect(name)
    found["HostConfig"]["Mounts"] = mounts
    return read(found, "node1", "172.18.0.2", NOW)


def modes(top: Path) -> dict[str, str]:
    return {str(path.relative_to(top)): oct(stat.S_IMODE(path.stat().st_mode)) for path in sorted(top.rglob("*"))}


@needs_memory
def test_files_have_their_content_and_modes_and_nobody_else_can_enter(handover: Handover, root: Path) -> None:
    directories = handover.write("node1", "web.main.0", SECRETS)
    assert sorted(directories) == ["/etc/binary", "/etc/tls"]
    tls, binary = Path(directories["/etc/tls"]), Path(directories["/etc/binary"])
    assert (tls / "private/key.pem").read_bytes() == (tls / "copy").read_bytes() == VALUES[TLS]
    assert (binary / "binary").read_bytes() == VALUES[BINARY]
    assert modes(tls) == {"copy": "0o444", "private": "0o755", "private/key.pem": "0o400"}
    for directory in (root, root.parent, tls.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(tls.stat().st_mode) == 0o755
    assert tls.parent.name.startswith("web.main.0.")


@needs_memory
def test_two_containers_of_one_name_have_directories_of_their_own(handover: Handover) -> None:
    first = handover.write("node1", "web.main.0", SECRETS)
    second = handover.write("node1", "web.main.0", SECRETS)
    assert not set(first.values()) & set(second.values())
    handover.remove("node1", second.values())
    assert all(os.path.isdir(directory) for directory in first.values())


@needs_memory
def test_the_last_directory_takes_the_cluster_s_with_it(handover: Handover, root: Path) -> None:
    directories = handover.write("node1", "web.main.0", SECRETS)
    handover.remove("node1", [*directories.values(), "/etc", "/run/paasta/secrets/other/x/0", ""])
    assert not root.exists()
    assert os.path.isdir("/etc")
    handover.remove("node1", directories.values())


def test_without_files_no_host_is_asked() -> None:
    nobody = Handover({}, "local", Cleartexts(Store()))
    assert nobody.write("node1", "web.main.0", {"env": {}, "files": []}) == {}
    nobody.remove("node1", ["/etc"])
    assert nobody.look([container("a")], []) == (set(), {})


@needs_memory
def test_lost_files_and_leftovers_are_told_apart(handover: Handover, root: Path) -> None:
    here = handover.write("node1", "here", SECRETS)
    gone = handover.write("node1", "gone", SECRETS)
    handover.remove("node1", gone.values())
    left = Path(handover.write("node1", "left", SECRETS)["/etc/tls"]).parent.name
    replicas = [container("here", here.values()), container("gone", gone.values()), container("without")]
    assert [handover.mounted(replica) for replica in replicas] == [True, True, False]
    assert handover.look(replicas, ["node1"]) == ({"id-gone"}, {"node1": [left]})
    handover.clean({"node1": [left]})
    assert handover.look(replicas, ["node1"]) == ({"id-gone"}, {})
    assert len(list(root.iterdir())) == 1


@needs_memory
def test_what_cannot_be_written_leaves_nothing_behind(agent: HostAgent, root: Path) -> None:
    content = base64.b64encode(b"hunter2").decode()
    files = {"0/a": {"mode": "0400", "content": content}, "0/a/b": {"mode": "0400", "content": content}}
    with pytest.raises(AgentError) as error:
        agent.ask("write_secrets", root=str(root), name="x", files=files)
    assert content not in str(error.value)
    assert list(root.iterdir()) == []


@needs_memory
def test_a_host_that_is_not_reached_as_root_is_told_so(root: Path) -> None:
    """The kernel refuses root nothing, so what it would answer others is put in its place."""
    with (
        patch.object(host_agent, "make_private", side_effect=PermissionError(13, "Permission denied", "/run/paasta")),
        pytest.raises(OSError, match=r"Permission denied: '/run/paasta': reach the host as root, ssh://\.\.\.\?sudo=1"),
    ):
        host_agent.Agent().write_secrets(str(root), "x", {})


@needs_memory
def test_files_that_may_not_be_seen_do_not_count_as_gone(handover: Handover, agent: HostAgent, root: Path) -> None:
    denied = PermissionError(13, "Permission denied", str(root))
    with patch.object(host_agent.os, "listdir", side_effect=denied):
        hidden = host_agent.Agent().list_secrets(str(root))
    here = container("here", handover.write("node1", "here", SECRETS).values())
    with patch.object(agent, "ask", return_value=hidden):
        with pytest.raises(AgentError, match=r"node1: secret files: .*Permission denied.*: reach the host as root"):
            handover.look([here], ["node1"])
        assert handover.look([container("without")], ["node1"]) == (set(), {})


def test_secrets_are_not_written_to_a_disk(agent: HostAgent) -> None:
    with pytest.raises(AgentError, match="/proc/secrets is on a file system of type proc, which is not in memory"):
        agent.ask("write_secrets", root="/proc/secrets", name="x", files={})


def test_the_file_system_of_a_path_is_the_innermost(tmp_path: Path) -> None:
    assert host_agent.filesystem("/proc/not/there") == "proc"
    assert host_agent.filesystem("/sys") == "sysfs"
    (tmp_path / "link").symlink_to("/proc")
    assert host_agent.filesystem(str(tmp_path / "link" / "x")) == "proc"


def test_each_secret_is_decrypted_once() -> None:
    store = Store()
    made = Handover({}, "local", Cleartexts(store))
    made.prepare([SECRETS, SECRETS])
    made.prepare([SECRETS])
    assert store.asked == [[TLS, BINARY, TOKEN]]
    assert made.environment(SECRETS) == {"TOKEN": "correct horse"}


def test_a_variable_takes_text_only() -> None:
    made = Handover({}, "local", Cleartexts(Store()))
    with pytest.raises(NoSecret) as error:
        made.prepare([{"env": {"A": use(BINARY), "B": use(TOKEN)}, "files": []}])
    assert str(error.value).startswith("web/secrets/binary.json: the value is not text")
    assert "env A" in str(error.value)


def test_texts_lose_every_form_of_a_secret() -> None:
    hidden = forms([b"correct horse\n", b'say "\xc3\xbc"', VALUES[TLS], b"abc"])
    text = (
        f'"correct horse" {base64.b64encode(VALUES[TLS]).decode()} say \\"\\u00fc\\" say \\"\u00fc\\" line two\\n'
        " alphabet abc"
    )
    assert redact(text, hidden) == '"********" ******** ******** ******** ********\\n alphabet abc'


def test_a_result_loses_them_everywhere() -> None:
    cleartexts = Cleartexts(Store())
    cleartexts.prepare([TOKEN])
    value = {"a": ["is correct horse", 1, None], "b": {"correct horse": ("correct horse",)}}
    assert cleartexts.redact_all(value) == {"a": ["is ********", 1, None], "b": {"correct horse": ["********"]}}
    assert "correct" not in repr(cleartexts)


def fleet(handover: Handover, api: Any) -> Fleet:
    made = Fleet([Host("node1", "172.18.0.2", "default", HERE, client=api)], "local", (31000, 31999), handover)
    made.hosts["node1"].client = api
    return made


def engine_error(text: str) -> docker.errors.APIError:
    response = MagicMock(status_code=500, reason="Internal Server Error", url="http+docker://x")
    return docker.errors.APIError("500 Server Error", response, text)


@needs_memory
def test_a_container_is_created_with_its_secrets(handover: Handover) -> None:
    api = MagicMock()
    api.create_container_from_config.return_value = {"Id": "new"}
    made = fleet(handover, api)
    assert made.create([Creation("node1", "web.main.0", CONTAINER, 8888, SECRETS)]) == ["new"]
    made.close()
    body, name = api.create_container_from_config.call_args.args
    assert name == "web.main.0"
    assert "TOKEN=correct horse" in body["Env"]
    sources = {mount["Target"]: mount["Source"] for mount in body["HostConfig"]["Mounts"]}
    assert Path(sources["/etc/tls"], "copy").read_bytes() == VALUES[TLS]


@needs_memory
def test_an_engine_that_refuses_leaves_no_files_and_its_words_no_secrets(handover: Handover, root: Path) -> None:
    api = MagicMock()
    api.create_container_from_config.side_effect = engine_error('bad variable "TOKEN=correct horse"')
    made = fleet(handover, api)
    (failure,) = made.create([Creation("node1", "web.main.0", CONTAINER, 8888, SECRETS)])
    made.close()
    assert str(failure) == 'node1: create web.main.0: bad variable "TOKEN=********"'
    assert not root.exists()


@needs_memory
def test_files_go_with_their_container(handover: Handover, root: Path) -> None:
    directories = handover.write("node1", "web.main.0", SECRETS)
    made = fleet(handover, MagicMock())
    outcomes: list[Exception | None] = []
    made.remove(container("web.main.0", directories.values()), outcomes.append)
    made.close()
    assert outcomes == [None]
    assert not root.exists()


def test_a_secret_that_is_needed_late_and_cannot_be_had_fails_its_instance_only() -> None:
    made = fleet(Handover({}, "local", Cleartexts(Store())), MagicMock())
    unknown = {"env": {"X": use(SecretRef("web", "unknown"))}, "files": []}
    (failure,) = made.create([Creation("node1", "web.main.0", CONTAINER, 8888, unknown)])
    made.close()
    assert isinstance(failure, HostError)
    assert str(failure) == "cannot be had: web/secrets/unknown.json"


def test_a_container_without_its_files_counts_as_unhealthy() -> None:
    api = MagicMock()
    api.containers.return_value = [
        {"Id": "id-a", "State": "running", "Ports": [], "Labels": inspect()["Config"]["Labels"]}
    ]
    api.inspect_container.return_value = inspect("a")
    made = fleet(Handover({}, "local", Cleartexts(Store())), api)
    assert made.observe()[0].state == "healthy"
    made.without_files = {"id-a"}
    (replica,) = made.observe()
    made.close()
    assert (replica.state, replica.detail) == (
        "unhealthy",
        "its secret files are gone from the host, it would not start again",
    )


def test_where_no_ansible_vault_is_the_reason_is_given(tmp_path: Path) -> None:
    """As in the module itself, delegated to some host."""
    (tmp_path / "web" / "secrets").mkdir(parents=True)
    entry = '{"environments": {"local": {"ciphertext": "$ANSIBLE_VAULT;1.1;AES256\\n6162\\n"}}}'
    (tmp_path / "web" / "secrets" / "token.json").write_text(entry)
    args = {"soa_dir": str(tmp_path), "secret_environment": None, "cluster": "local"}
    with pytest.raises(NoSecret, match="Ansible Vault, which only the controller can: run the task there"):
        resolver(args, {})([TOKEN])
    with pytest.raises(NoSecret, match="soa_dir is missing.*web/secrets/token.json"):
        resolver({**args, "soa_dir": None}, {})([TOKEN])
