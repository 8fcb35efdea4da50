# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What the API server refuses, told for each instance, while the others are deployed."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.secrets import Provider
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import ANSIBLE_VAULT
from ansible_collections.paasta.platform.plugins.plugin_utils.secrets import AnsibleVault
from client import Object
from control_plane import ControlPlane
from deploys import NEW, Deploys
from seen import CORE, Seen
from test_kubelet import TestKubelet
from webhook import AdmissionWebhook

INSTANCE = {"cpus": 0.1, "mem": 64}


def test_an_admission_webhook_refuses_one_instance_also_in_a_dry_run(
    deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet, webhook: AdmissionWebhook
) -> None:
    web = deploys.service("web", {"main": INSTANCE})
    api = deploys.service("api", {"main": INSTANCE})
    deploys.deployed()
    webhook.refuse("images come from the registry of the house", kind="Deployment", name=f"{web}-main")
    for name in ("web", "api"):
        deploys.mark(name, NEW)
    for check in (True, False):
        result = deploys.deploy(check=check)
        assert result["failed"] is True
        assert "images come from the registry of the house" in result["msg"]
        assert f"{web}.main" in result["msg"]
        assert f"{api}.main" not in result["msg"]
    assert NEW in Seen(control_plane.admin, api).container["image"]
    assert NEW not in Seen(control_plane.admin, web).container["image"]


def test_a_quota_that_is_exceeded_is_in_the_error(
    deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet
) -> None:
    service = deploys.service("web", {"main": {**INSTANCE, "instances": 1}})
    deploys.deployed()
    seen = Seen(control_plane.admin, service)
    quota = {"metadata": {"name": "small"}, "spec": {"hard": {"requests.cpu": "150m"}}}
    control_plane.admin.create(f"{CORE}/namespaces/{seen.namespace}/resourcequotas", quota)
    control_plane.wait_for(
        "the quota to be counted",
        lambda: "hard" in seen.get("resourcequotas", CORE, "small").get("status", {}),
    )
    deploys.change("web", instances=3)
    result = deploys.deploy(timeout=40)
    assert result["failed"] is True
    assert "exceeded quota: small" in result["msg"]


def test_who_may_not_is_told_what_and_where(deploys: Deploys, control_plane: ControlPlane) -> None:
    deploys.service("web", {"main": INSTANCE})
    nobody = control_plane.authority.issue("nobody")
    deploys.kubeconfig = control_plane.user_kubeconfig("nobody", pair=nobody)
    result = deploys.deploy()
    assert result["failed"] is True
    assert "forbidden" in result["msg"]
    assert '"nobody"' in result["msg"]


def test_a_version_that_does_not_start_is_rolled_back_where_that_is_asked_for(
    deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet
) -> None:
    service = deploys.service("web", {"main": {**INSTANCE, "instances": 2}})
    deploys.deployed()
    old = Seen(control_plane.admin, service).container["image"]
    kubelet.crashes(image=NEW, logs="no such table: users\n")
    deploys.mark("web", NEW)
    result = deploys.deploy(rollback=True, timeout=60)
    assert result["failed"] is True
    assert "no such table: users" in result["msg"]
    assert "rolled back" in result["msg"]
    assert result["rolled_back"] == [f"{service}.main"]
    seen = Seen(control_plane.admin, service)
    assert seen.container["image"] == old
    assert seen.deployment["status"]["readyReplicas"] == 2
    # The record still says the new version, so the next deploy tries again and fails again.
    assert deploys.deploy(timeout=60)["failed"] is True


def test_a_rollback_never_leaves_one_replica_of_what_was_autoscaled(
    deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet
) -> None:
    service = deploys.service("web", {"main": {**INSTANCE, "min_instances": 3, "max_instances": 6}})
    deploys.deployed()
    seen = Seen(control_plane.admin, service)
    control_plane.kubectl("scale", "deployment", seen.name, "-n", seen.namespace, "--replicas=4")
    deploys.deployed()
    kubelet.crashes(image=NEW, logs="")
    deploys.mark("web", NEW)
    deploys.change("web", instances=5, min_instances=None, max_instances=None)
    result = deploys.deploy(rollback=True, force_conflicts=True, timeout=20)
    assert result["rolled_back"] == [f"{service}.main"]
    assert seen.deployment["spec"]["replicas"] == 4


def vault(password: bytes = b"correct horse") -> dict[str, Provider]:
    return {ANSIBLE_VAULT: AnsibleVault(VaultLib([("default", VaultSecret(password))]))}


def encrypt(deploys: Deploys, service: str, name: str, cleartext: bytes) -> None:
    """Write a secret of the service for the test's cluster."""
    entry = vault()[ANSIBLE_VAULT].encrypt("paasta", cleartext)
    directory = Path(deploys.directory) / service / "secrets"
    directory.mkdir(exist_ok=True)
    content = {"environments": {deploys.cluster: entry.document()}}
    (directory / f"{name}.json").write_text(json.dumps(content))


@pytest.fixture
def secret_web(deploys: Deploys, kubelet: TestKubelet) -> str:
    keys = {**INSTANCE, "env": {"TOKEN": "SECRET(token)"}}
    service = deploys.service("web", {"main": keys})
    encrypt(deploys, service, "token", b"cleartext-of-the-token")
    return service


def data_of(control_plane: ControlPlane, service: str) -> Object:
    name = f"paastasvc-{service}-secret-{service}-token"
    return Seen(control_plane.admin, service).get("secrets", CORE, name)


def test_secrets_are_written_once_and_never_shown(
    deploys: Deploys, secret_web: str, control_plane: ControlPlane
) -> None:
    told = deploys.deployed(check=True)
    result = deploys.deployed(providers=vault())
    for text in (str(told), str(result)):
        assert "cleartext-of-the-token" not in text
        assert base64.b64encode(b"cleartext-of-the-token").decode() not in text
    found = data_of(control_plane, secret_web)
    assert base64.b64decode(found["data"]["token"]) == b"cleartext-of-the-token"
    # Nothing has changed, so nothing is decrypted: there is no provider.
    assert deploys.deployed()["changed"] is False


def test_a_rotated_secret_is_written_and_bounces(
    deploys: Deploys, secret_web: str, control_plane: ControlPlane
) -> None:
    deploys.deployed(providers=vault())
    seen = Seen(control_plane.admin, secret_web)
    before = seen.deployment["spec"]["template"]["metadata"]
    encrypt(deploys, secret_web, "token", b"another-cleartext")
    deploys.deployed(providers=vault())
    assert base64.b64decode(data_of(control_plane, secret_web)["data"]["token"]) == b"another-cleartext"
    assert seen.deployment["spec"]["template"]["metadata"] != before


def test_a_secret_that_was_changed_by_hand_is_a_conflict(
    deploys: Deploys, secret_web: str, control_plane: ControlPlane
) -> None:
    deploys.deployed(providers=vault())
    path = f"{CORE}/namespaces/paastasvc-{secret_web}/secrets/paastasvc-{secret_web}-secret-{secret_web}-token"
    theirs = base64.b64encode(b"somebody-elses").decode()
    control_plane.admin.patch(path, {"data": {"token": theirs}}, fieldManager="kubectl-edit")
    result = deploys.deploy(providers=vault())
    assert result["failed"] is True
    assert "kubectl-edit" in result["msg"]
    assert theirs not in result["msg"]
    assert "somebody-elses" not in result["msg"]
    deploys.deployed(providers=vault(), force_conflicts=True)
    assert base64.b64decode(data_of(control_plane, secret_web)["data"]["token"]) == b"cleartext-of-the-token"


def test_a_secret_that_cannot_be_decrypted_stops_the_run_before_anything(
    deploys: Deploys, secret_web: str, control_plane: ControlPlane
) -> None:
    result = deploys.deploy(providers=vault(b"wrong"))
    assert result["failed"] is True
    assert "Nothing was touched" in result["msg"]
    assert not control_plane.admin.exists(f"{CORE}/namespaces/paastasvc-{secret_web}")


def test_what_cannot_be_changed_in_place_is_told_with_the_way_out(
    deploys: Deploys, control_plane: ControlPlane, kubelet: TestKubelet
) -> None:
    volume = {"container_path": "/data", "size": 1, "mode": "ReadWriteOnce", "storage_class_name": "ebs"}
    deploys.service("db", {"main": {**INSTANCE, "persistent_volumes": [volume]}})
    deploys.deployed(wait=False)
    deploys.change("db", persistent_volumes=[{**volume, "size": 2}])
    result = deploys.deploy(wait=False)
    assert result["failed"] is True
    assert "--cascade=orphan" in result["msg"]
