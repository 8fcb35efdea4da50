# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Real hosts are reached over ssh: the same cluster, through sshd on the nodes instead of docker exec."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cluster import NODES
from driver import Platform

CONFIGURATION = """
IdentityFile {key}
IdentitiesOnly yes
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
LogLevel ERROR
"""


def test_hosts_are_reached_over_ssh(platform: Platform, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (tmp_path / "config").write_text(CONFIGURATION.format(key=key))
    public = key.with_suffix(".pub").read_text()
    for node in NODES:
        platform.node(node, "apt-get", "update", "-qq")
        platform.node(node, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-qq", "openssh-server")
        platform.node(node, "install", "-d", "-m", "700", "/root/.ssh")
        platform.node(node, "sh", "-c", f"echo '{public}' > /root/.ssh/authorized_keys")
    over_ssh = f"'ssh://root@' ~ paasta_address ~ '?config={tmp_path}/config'"
    url = f"{{{{ 'container://' ~ ansible_host if 'gateways' in group_names else {over_ssh} }}}}"
    assert "web.main          docker  2/2" in platform.play("status", paasta_host_url=url).output
    assert platform.play("deploy", paasta_host_url=url).changed == 0
