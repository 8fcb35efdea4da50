# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.channel import Channel, Unreachable


def test_this_machine_s_socket_needs_no_program() -> None:
    channel = Channel.parse("unix:///run/docker.sock")
    assert (channel.prefix, channel.docker_socket) == ((), "/run/docker.sock")


def test_a_node_container_is_entered_with_docker_exec() -> None:
    assert Channel.parse("container://paasta-local-node1").prefix == ("docker", "exec", "-i", "paasta-local-node1")


@pytest.mark.parametrize(
    ("url", "tail"),
    [
        ("ssh://host", ["host", "--"]),
        ("ssh://admin@host:2222", ["-p", "2222", "admin@host", "--"]),
        ("ssh://host?sudo=1", ["host", "--", "sudo", "-n"]),
        ("ssh://host?config=/etc/ssh/other", ["-F", "/etc/ssh/other", "host", "--"]),
    ],
)
def test_a_real_host_is_reached_with_the_ssh_client(url: str, tail: list[str]) -> None:
    prefix = list(Channel.parse(url).prefix)
    assert prefix[0] == "ssh"
    assert "BatchMode=yes" in prefix
    assert prefix[-len(tail) :] == tail


@pytest.mark.parametrize("url", ["", "tcp://host:2375", "container://", "unix://", "host"])
def test_other_urls_are_refused_with_what_is_allowed(url: str) -> None:
    with pytest.raises(ValueError, match="expected unix:///SOCKET, container://NAME or ssh://"):
        Channel.parse(url)


def test_a_program_answers_on_its_socket_and_its_last_words_are_kept() -> None:
    channel = Channel.parse("unix:///nowhere")
    process = channel.start(["sh", "-c", "read line; echo $line $line; echo gone >&2; exit 3"])
    process.socket.sendall(b"hello\n")
    assert process.socket.recv(100) == b"hello hello\n"
    assert process.socket.recv(100) == b""
    assert process.failure() == "gone"


def test_a_program_that_is_missing_makes_the_host_unreachable() -> None:
    with pytest.raises(Unreachable, match="cannot run no-such-program: No such file or directory"):
        Channel.parse("unix:///nowhere").start(["no-such-program"])
