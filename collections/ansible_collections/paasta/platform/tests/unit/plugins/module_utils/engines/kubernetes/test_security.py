# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import security
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web

PAASTA = {"kubernetes_pod_security": "paasta"}
SECCOMP = {"seccompProfile": {"type": "RuntimeDefault"}}
NON_ROOT = SECCOMP | {"runAsNonRoot": True}
DROPPED = [
    "SETPCAP", "MKNOD", "AUDIT_WRITE", "CHOWN", "NET_RAW", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID",
    "SETUID", "NET_BIND_SERVICE", "SYS_CHROOT", "SETFCAP",
]  # fmt: skip


def restricted(*added: str) -> dict[str, Any]:
    capabilities = {"drop": ["ALL"], **({"add": list(added)} if added else {})}
    return {"capabilities": capabilities, "allowPrivilegeEscalation": False}


@pytest.mark.parametrize(
    ("keys", "container", "pod", "warned"),
    [
        ("", restricted(), NON_ROOT, ""),
        ("cap_add: [NET_BIND_SERVICE]", restricted("NET_BIND_SERVICE"), NON_ROOT, ""),
        (
            "cap_add: [NET_RAW, CAP_CHOWN]",
            restricted("CHOWN", "NET_RAW"),
            SECCOMP,
            "cap_add: CHOWN, NET_RAW: the pod may",
        ),
        (
            "cap_add: [SYS_ADMIN]",
            {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}},
            SECCOMP,
            "cap_add: SYS_ADMIN: the pod may run as root",
        ),
        ("privileged: true", {"privileged": True}, {}, "privileged: the pod is not restricted in any way"),
    ],
)
def test_the_default_is_the_restricted_standard_as_far_as_the_instance_lets_it(
    web: Web, keys: str, container: dict[str, Any], pod: dict[str, Any], warned: str
) -> None:
    instance, facts = web(keys)
    assert security.container(instance, facts) == container
    assert security.pod(instance, facts) == pod
    found = security.warnings(instance, facts)
    assert bool(found) == bool(warned)
    assert warned in "".join(found)


@pytest.mark.parametrize(
    ("keys", "container"),
    [
        ("", {"capabilities": {"drop": DROPPED}}),
        ("cap_add: [NET_RAW]", {"capabilities": {"drop": [name for name in DROPPED if name != "NET_RAW"]}}),
        ("privileged: true", {"capabilities": {"drop": DROPPED}, "privileged": True}),
        (f"cap_add: [{', '.join(DROPPED)}]", {}),
    ],
)
def test_paasta_s_own_drops_what_paasta_drops_and_nothing_else(web: Web, keys: str, container: dict[str, Any]) -> None:
    instance, facts = web(keys, settings=PAASTA)
    assert security.container(instance, facts) == container
    assert security.pod(instance, facts) == security.sidecar(facts) == {}
    assert security.warnings(instance, facts) == []


@pytest.mark.parametrize(
    ("keys", "group"),
    [
        ("", {}),
        ("fs_group: 100", {"fsGroup": 100}),
        ("fs_group: 0", {"fsGroup": 0}),
        (
            "fs_group: 100, fs_group_change_policy: OnRootMismatch",
            {"fsGroup": 100, "fsGroupChangePolicy": "OnRootMismatch"},
        ),
        ("iam_role: 'arn:aws:iam::1:role/web'", {"fsGroup": 65534}),
        ("iam_role: 'arn:aws:iam::1:role/web', fs_group: 7", {"fsGroup": 7}),
    ],
)
def test_the_group_of_volumes(web: Web, keys: str, group: dict[str, Any]) -> None:
    assert security.volumes_group(web(keys)[0]) == group
