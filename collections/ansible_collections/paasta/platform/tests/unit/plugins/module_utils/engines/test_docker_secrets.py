# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets of the engine docker: what of them is in a plan, and what must be refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.docker import (
    Facts,
    render,
    replica_body,
    warnings,
)
from ansible_collections.paasta.platform.plugins.module_utils.engines.docker_secrets import (
    LABEL,
    describe,
    read_label,
    references,
)
from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import CannotRender
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import FrozenDict, freeze
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, SecretUse, Volume
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import SecretRef
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.tree import load

FACTS = Facts(registry="registry:5000")
SHA = "0123456789abcdef0123456789abcdef01234567"
USES = {("web", "token"): "1", ("web", "tls"): "2", ("_shared", "token"): "3"}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def instance(
    tmp_path: Path,
    env: Mapping[str, str] | None = None,
    volumes: list[dict[str, Any]] | None = None,
    uses: Mapping[tuple[str, str], str] = FrozenDict(USES),  # type: ignore[arg-type]
) -> Instance:
    """``web.main`` that uses secrets; ``uses`` are those that the cluster's environment has, and their ciphertexts."""
    service = tmp_path / "web"
    service.mkdir(exist_ok=True)
    (service / "kubernetes-local.yaml").write_text("main: {cpus: 0.5, mem: 256, instances: 2, deploy_group: g}\n")
    deployment = {"docker_image": f"services-web:paasta-{SHA}", "git_sha": SHA, "image_version": None}
    (service / "deployments.json").write_text(json.dumps({"v2": {"deployments": {"g": deployment}, "controls": {}}}))
    return replace(
        load(str(tmp_path), "local").instances[0],
        env=FrozenDict(env or {}),
        keys=freeze({"env": env or {}, "secret_volumes": volumes or []}),
        secrets=tuple(SecretUse(owner, name, digest(text)) for (owner, name), text in uses.items()),
    )


def secrets(tmp_path: Path, *args: Any, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = render(instance(tmp_path, *args, **options), FACTS)["secrets"]
    return found


def refused(tmp_path: Path, *args: Any, **options: Any) -> str:
    with pytest.raises(CannotRender) as error:
        render(instance(tmp_path, *args, **options), FACTS)
    return str(error.value)


def test_variables_leave_the_container_and_name_their_secrets(tmp_path: Path) -> None:
    plan = render(instance(tmp_path, {"TOKEN": "SECRET(token)", "ALL": "SHARED_SECRET(token)", "FOO": "bar"}), FACTS)
    assert plan["secrets"] == {
        "env": {
            "ALL": {"service": "_shared", "name": "token", "digest": digest("3")},
            "TOKEN": {"service": "web", "name": "token", "digest": digest("1")},
        },
        "files": [],
    }
    names = {variable.partition("=")[0] for variable in plan["container"]["Env"]}
    assert "FOO" in names
    assert not names & {"TOKEN", "ALL"}
    assert references(plan["secrets"]) == {SecretRef("web", "token"), SecretRef("_shared", "token")}


def test_a_secret_takes_the_place_of_a_variable_that_paasta_sets(tmp_path: Path) -> None:
    plan = render(instance(tmp_path, {"PAASTA_PORT": "SECRET(token)"}), FACTS)
    assert not [variable for variable in plan["container"]["Env"] if variable.startswith("PAASTA_PORT=")]


def test_a_volume_is_one_file_called_after_the_secret(tmp_path: Path) -> None:
    volume = {"container_path": "/secrets/tls/", "secret_name": "tls"}
    assert secrets(tmp_path, None, [volume])["files"] == [
        {
            "directory": "/secrets/tls",
            "path": "tls",
            "mode": "0644",
            "service": "web",
            "name": "tls",
            "digest": digest("2"),
        }
    ]
    assert warnings(instance(tmp_path, None, [volume])) == []


def test_items_name_the_files_and_their_modes(tmp_path: Path) -> None:
    items = [{"key": "tls", "path": "a/key.pem", "mode": "0400"}, {"key": "tls", "path": "copy"}]
    volume = {"container_path": "/s", "secret_name": "tls", "default_mode": "0440", "items": items}
    files = secrets(tmp_path, None, [volume])["files"]
    assert [(file["path"], file["mode"]) for file in files] == [("a/key.pem", "0400"), ("copy", "0440")]


def test_a_volume_that_is_written_twice_is_mounted_once(tmp_path: Path) -> None:
    volume = {"container_path": "/s", "secret_name": "tls"}
    assert len(secrets(tmp_path, None, [volume, dict(volume)])["files"]) == 1


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"container_path": "s"}, "secret_volumes[0].container_path: s: must be an absolute path, and not /"),
        ({"container_path": "//"}, "secret_volumes[0].container_path: //: must be an absolute path, and not /"),
        ({"default_mode": "rw"}, "secret_volumes[0]: mode rw: must be octal and in quotes, such as '0400'"),
        ({"default_mode": "4755"}, "secret_volumes[0]: mode 4755: must be octal and in quotes, such as '0400'"),
        (
            {"items": [{"key": "other", "path": "a"}]},
            "secret_volumes[0].items[0].key: other: must be tls, the only key that this secret has",
        ),
        *(
            (
                {"items": [{"key": "tls", "path": path}]},
                f"secret_volumes[0].items[0].path: {path}: must be a path inside of the volume",
            )
            for path in ("/etc/passwd", "../x", "a/../../x", ".", "", "..")
        ),
        *(
            (
                {"items": [{"key": "tls", "path": "a/b"}, {"key": "tls", "path": path}]},
                f"secret_volumes[0].items[1].path: {path}: is in the way of another item of the volume",
            )
            for path in ("a/b", "a", "a/b/c", "./a/b")
        ),
    ],
)
def test_volumes_that_cannot_be_made_are_refused(tmp_path: Path, volume: dict[str, Any], message: str) -> None:
    full = {"container_path": "/s", "secret_name": "tls"} | volume
    assert refused(tmp_path, None, [full]) == f"web.main: {message}"


def test_nothing_can_be_mounted_inside_of_a_secret_volume(tmp_path: Path) -> None:
    outer = {"container_path": "/s", "secret_name": "tls"}
    inner = {"container_path": "/s/t", "secret_name": "token"}
    beside = {"container_path": "/star", "secret_name": "token"}
    message = "web.main: secret_volumes: /s/t is inside of /s, which is read-only: mount it elsewhere"
    assert refused(tmp_path, None, [outer, inner]) == message
    assert len(secrets(tmp_path, None, [outer, beside])["files"]) == 2
    nested = replace(instance(tmp_path, None, [outer]), extra_volumes=(Volume("/s/t", "/srv", "RO"),))
    with pytest.raises(CannotRender, match=r"/s/t is inside of /s"):
        render(nested, FACTS)


def test_a_secret_without_ciphertext_is_refused_together_with_all_others(tmp_path: Path) -> None:
    message = refused(
        tmp_path,
        {"A": "SECRET(token)", "B": "SHARED_SECRET(x)"},
        [{"container_path": "/s", "secret_name": "y"}],
        uses={},
    )
    assert [line.split(";")[0] for line in message.splitlines()] == [
        "web.main: env A: web/secrets/token.json has nothing for this cluster's environment",
        "web.main: env B: _shared/secrets/x.json has nothing for this cluster's environment",
        "web.main: secret_volumes[0].secret_name: web/secrets/y.json has nothing for this cluster's environment",
    ]


def test_a_rotated_secret_changes_the_config_sha(tmp_path: Path) -> None:
    for env, volumes in (({"TOKEN": "SECRET(tls)"}, []), ({}, [{"container_path": "/s", "secret_name": "tls"}])):
        before = render(instance(tmp_path, env, volumes), FACTS)["config_sha"]
        rotated = {**USES, ("web", "tls"): "changed"}
        assert render(instance(tmp_path, env, volumes), FACTS)["config_sha"] == before
        assert render(instance(tmp_path, env, volumes, rotated), FACTS)["config_sha"] != before


def test_without_references_there_is_nothing_of_secrets(tmp_path: Path) -> None:
    before = render(instance(tmp_path), FACTS)
    assert before["secrets"] == {"env": {}, "files": []}
    assert LABEL not in before["container"]["Labels"]


def test_labels_have_names_and_short_digests(tmp_path: Path) -> None:
    volume = {"container_path": "/s", "secret_name": "tls", "default_mode": "0400"}
    plan = render(instance(tmp_path, {"TOKEN": "SHARED_SECRET(token)"}, [volume]), FACTS)
    expected = {
        "env.TOKEN": f"SHARED_SECRET(token) {digest('3')[:12]}",
        "/s/tls": f"SECRET(tls) 0400 {digest('2')[:12]}",
    }
    assert describe(plan["secrets"], "web") == expected
    assert read_label(plan["container"]["Labels"]) == expected
    assert read_label({}) == {}


def test_the_cluster_s_volumes_give_way_to_secrets(tmp_path: Path) -> None:
    facts = Facts(registry="r", volumes=("/etc/ssl:/s:ro", "/a:/b:ro"))
    volume = {"container_path": "/s", "secret_name": "tls"}
    container = render(instance(tmp_path, None, [volume]), facts)["container"]
    assert container["HostConfig"]["Binds"] == ["/a:/b:ro"]


def test_a_replica_has_the_values_and_the_mounts(tmp_path: Path) -> None:
    container = render(instance(tmp_path, {"TOKEN": "SECRET(token)"}), FACTS)["container"]
    options: dict[str, Any] = {"host": "node1", "port": 31005, "container_port": 8888}
    body = replica_body(
        container,
        **options,
        secret_env={"TOKEN": "hunter2"},
        secret_directories={"/s": "/run/paasta/secrets/local/x/0"},
    )
    assert "TOKEN=hunter2" in body["Env"]
    mount = {"Type": "bind", "Source": "/run/paasta/secrets/local/x/0", "Target": "/s", "ReadOnly": True}
    assert body["HostConfig"]["Mounts"] == [mount]
    assert "hunter2" not in str(container)
    assert "Mounts" not in replica_body(container, **options)["HostConfig"]
