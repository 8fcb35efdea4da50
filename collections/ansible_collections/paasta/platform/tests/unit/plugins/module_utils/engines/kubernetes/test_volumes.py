# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Every kind of volume: its names, its sources, and what cannot be mounted."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import volumes
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes.facts import Facts
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import FrozenDict
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, SecretUse, Volume
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web


def mount(name: str, path: str, *, write: bool = False) -> dict[str, Any]:
    return {"name": name, "mountPath": path, **({} if write else {"readOnly": True})}


def host(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "hostPath": {"path": path}}


def mounted(instance: Instance, facts: Facts) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each mount with its volume, without the name that both have."""
    mounts, found = volumes.mounts_and_volumes(instance, facts)
    by_name = {volume["name"]: {key: value for key, value in volume.items() if key != "name"} for volume in found}
    return [(each, by_name.get(each["name"], {})) for each in mounts]


def test_nothing_is_mounted_by_default(web: Web) -> None:
    instance, facts = web("")
    assert volumes.mounts_and_volumes(instance, facts) == ([], [])
    assert volumes.claim_templates(instance, facts) == []
    assert volumes.problems(instance, facts) == []
    assert volumes.warnings(instance) == []


def test_directories_of_hosts_the_instances_own_before_the_platforms(web: Web) -> None:
    keys = (
        "extra_volumes: [{hostPath: /etc/my_hosts, containerPath: /etc/hosts/, mode: RW}, "
        "{hostPath: /a, containerPath: /z}, {hostPath: /a, containerPath: /y}]"
    )
    instance, facts = web(keys, settings={"volumes": ["/etc/hosts:/etc/hosts:ro", "/nail/etc:/nail/etc:ro"]})
    assert volumes.mounts_and_volumes(instance, facts) == (
        [
            mount("host--slash-etcslash-my--hosts", "/etc/hosts", write=True),
            mount("host--slash-nailslash-etc", "/nail/etc"),
            mount("host--slash-a", "/y"),
            mount("host--slash-a", "/z"),
        ],
        [
            host("host--slash-etcslash-my--hosts", "/etc/my_hosts"),
            host("host--slash-nailslash-etc", "/nail/etc"),
            host("host--slash-a", "/a"),
        ],
    )
    assert volumes.problems(instance, facts) == []


@pytest.mark.parametrize(
    ("keys", "default", "wanted"),
    [("", False, False), ("", True, True), ("uses_bulkdata: true", False, True), ("uses_bulkdata: false", True, False)],
)
def test_bulk_data(web: Web, keys: str, default: bool, wanted: bool) -> None:
    mounts, _volumes = volumes.mounts_and_volumes(*web(keys, settings={"uses_bulkdata_default": default}))
    assert mounts == ([mount("host--slash-nailslash-bulkdata", "/nail/bulkdata")] if wanted else [])


def test_ebs_volumes(web: Web) -> None:
    keys = (
        "bounce_method: downthenup, aws_ebs_volumes: [{volume_id: vol-1, fs_type: ext4, partition: 2, "
        "container_path: /b, mode: RW}, {volume_id: vol-2, container_path: /a}]"
    )
    assert volumes.mounts_and_volumes(*web(keys)) == (
        [mount("aws-ebs--vol-2", "/a"), mount("aws-ebs--vol-12", "/b", write=True)],
        [
            {"name": "aws-ebs--vol-2", "awsElasticBlockStore": {"volumeID": "vol-2"}},
            {
                "name": "aws-ebs--vol-12",
                "awsElasticBlockStore": {"volumeID": "vol-1", "fsType": "ext4", "partition": 2},
            },
        ],
    )


PERSISTENT = (
    "persistent_volumes: [{container_path: /var/lib/my_data, size: 10, mode: RW}, {container_path: /a, size: 1}]"
)


def test_persistent_volumes_are_claims_in_the_order_of_the_file(web: Web) -> None:
    instance, facts = web(PERSISTENT)
    assert volumes.mounts_and_volumes(instance, facts) == (
        [mount("pv--slash-a", "/a"), mount("pv--slash-varslash-libslash-my--data", "/var/lib/my_data", write=True)],
        [],
    )
    assert [(claim["metadata"], claim["spec"]) for claim in volumes.claim_templates(instance, facts)] == [
        ({"name": name}, {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}})
        for name, size in (("pv--slash-varslash-libslash-my--data", "10Gi"), ("pv--slash-a", "1Gi"))
    ]


@pytest.mark.parametrize(
    ("named", "supported", "expected"),
    [
        ("", [], None),
        ("fast", [], "fast"),
        ("fast", ["fast", "slow"], "fast"),
        ("other", ["fast"], "ebs"),
        ("", ["fast"], "ebs"),
    ],
)
def test_storage_classes(web: Web, named: str, supported: list[str], expected: str | None) -> None:
    keys = f"persistent_volumes: [{{container_path: /a, size: 1{', storage_class_name: ' if named else ''}{named}}}]"
    (claim,) = volumes.claim_templates(*web(keys, settings={"supported_storage_classes": supported}))
    assert claim["spec"].get("storageClassName") == expected


def with_secrets(instance: Instance, *names: str) -> Instance:
    return replace(instance, secrets=tuple(SecretUse("web", name, "1") for name in names))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", {}),
        ("default_mode: '0644'", {}),
        ("default_mode: '400'", {"defaultMode": 0o400}),
        ("items: [{key: my_key, path: my_key}]", {}),
        ("items: [{key: my_key, path: a/b}]", {"items": [{"key": "my_key", "path": "a/b"}]}),
        (
            "default_mode: '0440', items: [{key: my_key, path: a, mode: '0400'}, {key: my_key, path: b, mode: '0440'}]",
            {
                "defaultMode": 0o440,
                "items": [{"key": "my_key", "path": "a", "mode": 0o400}, {"key": "my_key", "path": "b"}],
            },
        ),
    ],
)
def test_secret_volumes(web: Web, soa: Any, more: str, expected: dict[str, Any]) -> None:
    instance, facts = web_of_secret(web, soa, more)
    assert volumes.mounts_and_volumes(instance, facts) == (
        [mount("secret--my--key", "/s")],
        [{"name": "secret--my--key", "secret": {"secretName": "paastasvc-web-secret-web-my--key", **expected}}],
    )


def web_of_secret(web: Web, soa: Any, more: str) -> tuple[Instance, Facts]:
    directory = soa.directory / "web" / "secrets"
    directory.mkdir(parents=True)
    (directory / "my_key.json").write_text('{"environments": {"prod": {"ciphertext": "vault:v1:eA=="}}}')
    instance, facts = web(f"secret_volumes: [{{container_path: /s, secret_name: my_key, {more}}}]")
    return with_secrets(instance, "my_key"), facts


TOKEN = "projected_sa_volumes: [{container_path: /token, audience: a.b, expiration_seconds: %s}]"


@pytest.mark.parametrize(("seconds", "expected"), [(3600, {}), (7200, {"expirationSeconds": 7200})])
def test_tokens(web: Web, seconds: int, expected: dict[str, int]) -> None:
    token = {"serviceAccountToken": {"audience": "a.b", "path": "token", **expected}}
    assert volumes.mounts_and_volumes(*web(TOKEN % seconds)) == (
        [mount("projected-sa--adot-b", "/token")],
        [{"name": "projected-sa--adot-b", "projected": {"sources": [token]}}],
    )


AUTH = {"service_auth_token_settings": {"audience": "auth", "container_path": "/auth", "expiration_seconds": 600}}


@pytest.mark.parametrize("authenticating", [["web"], ["db"]])
def test_services_that_authenticate_get_a_token(web: Web, authenticating: list[str]) -> None:
    instance, facts = web("", settings={**AUTH, "always_authenticating_services": authenticating})
    token = {"serviceAccountToken": {"audience": "auth", "path": "token", "expirationSeconds": 600}}
    expected = [(mount("projected-sa--auth", "/auth"), {"projected": {"sources": [token]}})]
    assert mounted(instance, facts) == (expected if authenticating == ["web"] else [])


def test_half_a_setting_of_tokens_is_refused(web: Web) -> None:
    settings = {"service_auth_token_settings": {"audience": "a"}, "always_authenticating_services": ["web"]}
    assert volumes.problems(*web("", settings=settings)) == [
        "web.main: paasta_service_auth_token_settings needs both audience and container_path"
    ]


def synced(secret: str, items: dict[str, str], **more: Any) -> dict[str, Any]:
    files = [{"key": key, "path": path} for key, path in items.items()]
    return {"secret": {"secretName": secret, "defaultMode": 0o444, "items": files, **more}}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            "boto_keys: [my_key]",
            (
                mount("secret-boto-key-web-main", "/etc/boto_cfg"),
                synced(
                    "paasta-boto-key-web-main",
                    {f"my--key-{form}": f"my_key.{form}" for form in ("cfg", "json", "sh", "yaml")},
                ),
            ),
        ),
        (
            "crypto_keys: {encrypt: [b], decrypt: [a, b]}",
            (
                mount("secret-crypto-key-web-main", "/etc/crypto_keys"),
                synced(
                    "paastasvc-web-crypto-key-web-main",
                    {
                        "private-a": "private/a.json",
                        "private-b": "private/b.json",
                        "public-b": "public/b.json",
                    },
                    optional=True,
                ),
            ),
        ),
        (
            "datastore_credentials: {mysql: [rw]}",
            (
                mount("secret-datastore-creds-web-main", "/datastore"),
                synced(
                    "paastasvc-web-datastore-credentials-web-main",
                    {"secrets-datastore-mysql-rw": "mysql/rw/credentials"},
                ),
            ),
        ),
    ],
)
def test_what_the_sync_of_paasta_fills_is_mounted_and_said(web: Web, keys: str, expected: Any) -> None:
    instance, facts = web(keys)
    assert mounted(instance, facts) == [expected]
    secret = expected[1]["secret"]["secretName"]
    assert volumes.warnings(instance) == [
        f"web/kubernetes-prod.yaml:1: web.main: {keys.partition(':')[0]}: Secret {secret} of namespace paastasvc-web "
        "is mounted; paasta does not fill it: PaaSTA's paasta_secrets_sync, or you, must"
    ]


def test_names_that_no_secret_can_have_are_shortened_as_paasta_does(web: Web) -> None:
    # As in PaaSTA's own tests.
    instance, facts = web("boto_keys: [pew]")
    name = "sync_ads_settings_post_budget_edit_batch_daemon"
    instance = replace(instance, service="zuora_integration", name=name)
    (_mount, volume) = mounted(instance, facts)[0]
    assert volume["secret"]["secretName"] == "paasta-boto-key-zuora--integration-sync--ads--settings--po-4xbg"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/etc/hosts", "host--slash-etcslash-hosts"),
        ("/a.b_c/", "host--slash-adot-b--c"),
        ("/Nail", "host--slash-nail"),
        ("/" + "x" * 80, "host--slash-" + "x" * 45 + "--"),
        ("/a b", "host--slash-a-b"),
        ("/", "host"),
    ],
)
def test_names_of_volumes(path: str, expected: str) -> None:
    _mounts, (volume,) = volumes.host_mounts([Volume("/x", path, "RO")])
    name = volume["name"]
    assert name.startswith(expected)
    assert len(name) <= 63
    assert re.fullmatch("[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert volume["hostPath"] == {"path": path}


def test_different_volumes_never_have_the_same_name(web: Web) -> None:
    paths = ["/a_b", "/a--b", "/A_B", "/c.d", "/cdot-d"]
    mounts, found = volumes.host_mounts([Volume(f"/{n}", path, "RO") for n, path in enumerate(paths)])
    assert [volume["hostPath"]["path"] for volume in found] == paths
    assert len({volume["name"] for volume in found}) == len(paths)
    assert [each["name"] for each in mounts] == [volume["name"] for volume in found]


def test_volumes_of_a_sidecar_are_told_apart_from_those_beside_it() -> None:
    _mounts, beside = volumes.host_mounts([Volume("/x", "/a_b", "RO"), Volume("/y", "/same", "RO")])
    mounts, (other, same) = volumes.host_mounts([Volume("/x", "/a--b", "RO"), Volume("/y", "/same", "RO")], beside)
    assert same == beside[1]
    assert other["name"] == mounts[0]["name"] != beside[0]["name"]
    assert other["hostPath"] == {"path": "/a--b"}


def test_a_claim_keeps_its_name_whatever_else_wants_it() -> None:
    claim = volumes.Mount("/z", "pv--x", None, False)
    other = volumes.Mount("/a", "pv--x", {"hostPath": {"path": "/x"}}, True)
    mounts, (volume,) = volumes.rendered([claim, other])
    assert mounts[1]["name"] == "pv--x"
    assert mounts[0]["name"] == volume["name"] != "pv--x"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            "extra_volumes: [{hostPath: /a, containerPath: a}]",
            "extra_volumes[0]: a: must be an absolute path without a colon",
        ),
        (
            "persistent_volumes: [{container_path: '/a:b', size: 1}]",
            "persistent_volumes[0]: /a:b: must be an absolute path without a colon",
        ),
        (
            "persistent_volumes: [{container_path: /a_b, size: 1}, {container_path: /a--b, size: 1}]",
            "persistent_volumes[1]: the claim of /a--b would have the name of that of /a_b; "
            "mount one of the two somewhere else",
        ),
        (TOKEN % 599, "projected_sa_volumes[0].expiration_seconds: 599: Kubernetes gives tokens for at least 600 s"),
    ],
)
def test_what_the_api_would_refuse(web: Web, keys: str, message: str) -> None:
    assert volumes.problems(*web(keys)) == [f"web/kubernetes-prod.yaml:1: web.main: {message}"]


def test_two_volumes_at_one_path_are_refused(web: Web) -> None:
    instance, facts = web("datastore_credentials: {mysql: [rw]}")
    changed = replace(instance, extra_volumes=(Volume("/datastore", "/x", "RO"),))
    (line,) = volumes.problems(changed, facts)
    assert line.endswith(
        "datastore_credentials: /datastore is already mounted by extra_volumes; mount one of the two somewhere else"
    )


def test_keys_of_aws_take_the_place_of_a_directory(web: Web) -> None:
    instance, facts = web("boto_keys: [x]")
    changed = replace(instance, extra_volumes=(Volume("/etc/boto_cfg", "/etc/boto_cfg", "RO"),))
    assert volumes.problems(changed, facts) == []
    assert [each["name"] for each in volumes.mounts_and_volumes(changed, facts)[0]] == ["secret-boto-key-web-main"]


def test_order_in_soa_configs_means_nothing(web: Web) -> None:
    instance, facts = web("")
    both = Volume("/b", "/1", "RO"), Volume("/a", "/2", "RW")
    orders = [replace(instance, extra_volumes=both), replace(instance, extra_volumes=both[::-1])]
    assert len({str(volumes.mounts_and_volumes(each, facts)) for each in orders}) == 1
    tokens = [{"container_path": f"/{n}", "audience": str(n)} for n in range(3)]
    keyed = [
        replace(instance, keys=FrozenDict({"projected_sa_volumes": tuple(map(FrozenDict, order))}))
        for order in (tokens, tokens[::-1])
    ]
    assert len({str(volumes.mounts_and_volumes(each, facts)) for each in keyed}) == 1
