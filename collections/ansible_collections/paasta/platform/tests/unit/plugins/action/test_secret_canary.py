# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""No value and no password is ever to be seen: real runs of ansible-playbook at -vvvv --diff with canaries.

Searched, in every form in which a program may write them: what is printed, the log, facts and their cache, the command
lines of all processes during the runs, and every file that is left behind.
"""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.reconcile.transit_double import (
    TransitDouble,
    serving,
)

COLLECTIONS = next(parent for parent in Path(__file__).parents if parent.name == "ansible_collections").parent
ROOT = COLLECTIONS.parent
CANARIES = {
    "value": "canary-\"'\\é-5d0f7c1b2a",
    "other value": "canary-other-91bb04d6e2",
    "bytes": "canary-\x01\x02-bytes-7e11",
    "looked up": "canary-lookup-c0ffee42",
    "password": "canary-password-2f60a8",
    "new password": "canary-new-password-77d1",
    "token": "hvs.canary-token-e80c53",
    "secret_id": "canary-secret-id-0b9d",
}


def forms(canary: str) -> set[bytes]:
    """As it is, as JSON, as Python's repr, in URLs, in hex, in base64 wherever it begins in the encoded text, and its
    plain parts, which survive any quoting and folding of lines.
    """
    data = canary.encode()
    found = {data, quote(canary).encode(), quote(canary, safe="").encode(), data.hex().encode()}
    found |= {json.dumps(canary, ensure_ascii=ascii)[1:-1].encode() for ascii in (True, False)}
    found |= {repr(canary)[1:-1].encode(), repr(data)[2:-1].encode(), json.dumps(json.dumps(canary))[3:-3].encode()}
    found |= {part.encode() for part in re.findall(r"[A-Za-z0-9-]{10,}", canary)}
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + data)
        # Without what depends on the neighbours.
        found.add(encoded[(0, 2, 3)[offset] : len(encoded) // 4 * 4 - 4])
    return found


FORMS = {name: forms(canary) for name, canary in CANARIES.items()}


def seen(data: bytes) -> list[str]:
    return [name for name, its_forms in FORMS.items() if any(form in data for form in its_forms)]


@pytest.mark.parametrize("name", CANARIES)
def test_the_search_finds_what_it_is_for(name: str) -> None:
    canary = CANARIES[name]
    texts = [canary, json.dumps({"a": canary}), repr([canary]), f"x={quote(canary)}"]
    texts += [base64.b64encode(f"{prefix}{canary} and more".encode()).decode() for prefix in ("", "a", "ab", "abc")]
    for text in texts:
        assert seen(text.encode()) == [name], text


class CommandLines:
    """Samples the command lines of all processes until the end."""

    def __init__(self) -> None:
        self.lines: set[bytes] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._end.is_set():
            for process in os.listdir("/proc"):
                if process.isdigit():
                    try:
                        with open(f"/proc/{process}/cmdline", "rb") as stream:
                            self.lines.add(stream.read())
                    except OSError:
                        continue
            time.sleep(0.002)

    def __enter__(self) -> CommandLines:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end.set()
        self._thread.join()


class Site:
    """A soa-configs directory and an inventory; ``inputs`` is the one place where canaries may be."""

    def __init__(self, root: Path, vault: TransitDouble) -> None:
        self.root, self.inputs, self.outside = root, root / "inputs", root / "outside"
        for path in (self.inputs, self.outside / "tmp", self.outside / "soa/web"):
            path.mkdir(parents=True)
        (self.inputs / "value").write_text(CANARIES["value"])
        (self.inputs / "looked-up").write_text(CANARIES["looked up"])
        (self.inputs / "password").write_text(CANARIES["password"])
        (self.inputs / "new-password").write_text(CANARIES["new password"])
        (self.inputs / "token").write_text(CANARIES["token"])
        variables = {
            "paasta_soa_dir": str(self.outside / "soa"),
            "paasta_cluster": "prod",
            "paasta_secret_environments": {"prod": "production"},
            "transit_url": vault.url,
            "inputs": str(self.inputs),
            "ansible_python_interpreter": sys.executable,
        }
        hosts = {"localhost": {"ansible_connection": "local"}}
        (self.outside / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.outside),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.outside / "tmp"),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_LOCAL_TEMP": str(self.outside / "tmp/local"),
            "ANSIBLE_REMOTE_TMP": str(self.outside / "tmp/remote"),
            "ANSIBLE_LOG_PATH": str(self.outside / "log"),
            "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(self.outside / "facts"),
            "ANSIBLE_NOCOLOR": "1",
        }

    def command(self, playbook: Path | str, *arguments: str, vault_id: str = "@password") -> list[str]:
        name, _at, file = vault_id.rpartition("@")
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        return [
            *(program, "-vvvv", "--diff", "-i", str(self.outside / "inventory.json")),
            *("--vault-id", f"{name or 'default'}@{self.inputs / file}"),
            *(str(playbook), *arguments),
        ]

    def run(
        self, playbook: Path | str, *arguments: str, vault_id: str = "@password", **environment: str
    ) -> tuple[int, str]:
        """Status and output; neither it nor anything beside ``inputs`` may hold a canary."""
        with CommandLines() as sampled:
            done = subprocess.run(
                self.command(playbook, *arguments, vault_id=vault_id),
                env={**self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=120,
            )
        self.check(done.stdout, sampled)
        return done.returncode, done.stdout.decode()

    def check(self, output: bytes, sampled: CommandLines) -> None:
        assert seen(output) == []
        assert any(b"ansible-playbook" in line and b"inventory.json" in line for line in sampled.lines)
        assert [line for line in sampled.lines if seen(line)] == []
        for path in self.outside.rglob("*"):
            assert seen(str(path).encode()) == []
            if path.is_file():
                assert seen(path.read_bytes()) == [], path

    def stored(self, name: str, environment: str = "production") -> str:
        file = self.outside / f"soa/web/secrets/{name}.json"
        return str(json.loads(file.read_text())["environments"][environment]["ciphertext"])


@pytest.fixture
def vault() -> Iterator[TransitDouble]:
    with serving() as double:
        double.keys["transit"] = {}
        double.tokens = {CANARIES["token"]}
        double.role["secret_id"] = CANARIES["secret_id"]
        yield double


@pytest.fixture
def site(tmp_path: Path, vault: TransitDouble) -> Site:
    return Site(tmp_path, vault)


def decrypted(ciphertext: str, password: str) -> str:
    return VaultLib([("default", VaultSecret(CANARIES[password].encode()))]).decrypt(ciphertext).decode()


SECRET = ROOT / "playbooks/secret.yml"
TOKEN = ("-e", "service=web", "-e", "secret=token")


def test_the_playbook(site: Site) -> None:
    status, output = site.run(SECRET, *TOKEN, "-e", "do=add", PAASTA_SECRET_VALUE=CANARIES["value"])
    assert status == 0, output
    assert "+production: ansible_vault" in output
    assert decrypted(site.stored("token"), "password") == CANARIES["value"]
    log = (site.outside / "log").read_text()
    assert "production: ansible_vault" in log

    first = site.stored("token")
    status, output = site.run(SECRET, *TOKEN, "-e", f"value_file={site.inputs / 'value'}")
    assert (status, "unchanged" in output, site.stored("token")) == (0, True, first)

    status, output = site.run(SECRET, *TOKEN, "-e", "do=add", PAASTA_SECRET_VALUE=CANARIES["other value"])
    assert (status, site.stored("token")) == (2, first)
    assert "has a value already for environment" in output

    # Without the right password it can still be written, but not be compared.
    arguments = {"vault_id": "new@new-password", "PAASTA_SECRET_VALUE": CANARIES["other value"]}
    status, output = site.run(SECRET, *TOKEN, "-e", "do=update", **arguments)
    assert (status, "cannot be compared" in output) == (0, True)
    assert decrypted(site.stored("token"), "new password") == CANARIES["other value"]
    status, output = site.run(SECRET, "-e", "do=rotate")
    assert status == 2
    assert "Decryption failed" in output


# What a login shell has: a session of its own, whose terminal is the standard input.
ON_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_the_prompt(site: Site) -> None:
    """On a terminal, which must not show what is typed."""
    master, slave = pty.openpty()
    output = b""
    with CommandLines() as sampled:
        command = [sys.executable, "-c", ON_A_TERMINAL, *site.command(SECRET, *TOKEN)]
        process = subprocess.Popen(command, env=site.environment, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        typed, deadline = 0.0, time.monotonic() + 90
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    output += os.read(master, 65536)
                except OSError:  # the last writer is gone
                    break
            echo = termios.tcgetattr(master)[3] & termios.ECHO
            # What is typed before the prompt is ready is thrown away, so it is typed again when nothing happens.
            if b"(not shown)" in output and not echo and time.monotonic() - typed > 5:
                os.write(master, CANARIES["other value"].encode() + b"\r")
                typed = time.monotonic()
        else:
            process.kill()
        process.wait(30)
    os.close(master)
    assert (process.returncode, typed > 0) == (0, True), output.decode()
    site.check(output, sampled)
    assert decrypted(site.stored("token"), "password") == CANARIES["other value"]


PLAYS = """
- hosts: localhost
  gather_facts: false
  vars:
    kept: %(vaulted)s
  tasks:
    - name: Ansible Vault, and a lookup's entry
      paasta.platform.secret: &first
        soa_dir: "{{ paasta_soa_dir }}"
        secrets:
          - {service: web, name: one, environments: [a, b], value: "{{ kept }}"}
          - {service: web, name: two, environments: [a], value_base64: "{{ lookup('file', inputs ~ '/bytes') }}"}
          - {service: web, name: three, environments: [a], lookup: {term: looked-up, version: "1"}}
      register: first
    - name: Again
      paasta.platform.secret: *first
      register: again
    - name: Transit, with a token
      paasta.platform.secret:
        soa_dir: "{{ paasta_soa_dir }}"
        provider: vault
        vault: {url: "{{ transit_url }}", token: "{{ lookup('file', inputs ~ '/token') }}"}
        secrets: [{service: web, name: four, environments: [a], value: "{{ kept }}"}]
      register: transit
    - name: Transit from the module, on its own, having logged in
      paasta.platform.secret: &module
        soa_dir: "{{ paasta_soa_dir }}"
        provider: vault
        vault:
          url: "{{ transit_url }}"
          login: {path: approle/login, data: {role_id: role, secret_id: "{{ lookup('file', inputs ~ '/secret_id') }}"}}
        secrets: [{service: web, name: five, environments: [a], value: "{{ kept }}"}]
      environment: {ELSEWHERE: "1"}
      register: module
    - name: What is refused, by the action and by the module
      paasta.platform.secret:
        soa_dir: "{{ paasta_soa_dir }}"
        vault: {url: "{{ transit_url }}", mount: nothing, token: "{{ lookup('file', inputs ~ '/token') }}"}
        secrets: [{service: web, name: six, environments: [a], value: "{{ kept }}", value_base64: "{{ kept }}"}]
      environment: "{{ item }}"
      loop: [{}, {ELSEWHERE: "1"}]
      ignore_errors: true
      register: refused
    - name: A mount that is not there
      paasta.platform.secret:
        soa_dir: "{{ paasta_soa_dir }}"
        vault: {url: "{{ transit_url }}", mount: nothing, token: "{{ lookup('file', inputs ~ '/token') }}"}
        secrets: [{service: web, name: six, environments: [a], value: "{{ kept }}"}]
      ignore_errors: true
      register: nowhere
    - name: Results as facts that are cached
      ansible.builtin.set_fact:
        results: {first: "{{ first }}", transit: "{{ transit }}", module: "{{ module }}", nowhere: "{{ nowhere }}"}
        cacheable: true
    - name: Everything that was registered
      ansible.builtin.debug:
        msg: "{{ [first, again, transit, module, refused, nowhere, results] }}"
    - name: All as it should be
      ansible.builtin.assert:
        that:
          - first.changed and transit.changed and module.changed
          - not again.changed
          - "'mutually exclusive' in refused.results[0].msg and 'mutually exclusive' in refused.results[1].msg"
          - "'paasta_vault_mount' in nowhere.msg"
"""


def test_the_action_and_the_module(site: Site, vault: TransitDouble) -> None:
    (site.inputs / "bytes").write_text(base64.b64encode(CANARIES["bytes"].encode()).decode())
    (site.inputs / "secret_id").write_text(CANARIES["secret_id"])
    lib = VaultLib([("default", VaultSecret(CANARIES["password"].encode()))])
    vaulted = lib.encrypt(CANARIES["value"]).decode()
    play = site.outside / "play.yml"
    play.write_text(PLAYS % {"vaulted": "!vault |\n      " + vaulted.replace("\n", "\n      ")})
    status, output = site.run(play)
    assert status == 0, output
    assert output.count("ELSEWHERE=1") == 2, "the module did not run"
    assert len(list((site.outside / "facts").iterdir())) == 1
    assert decrypted(site.stored("one", "b"), "password") == CANARIES["value"]
    assert decrypted(site.stored("two", "a"), "password") == CANARIES["bytes"]
    for name in ("four", "five"):
        body: dict[str, Any] = {"batch_input": [{"ciphertext": site.stored(name, "a")}]}
        _status, found = vault.reply("transit/decrypt/paasta", CANARIES["token"], body)
        assert base64.b64decode(found["data"]["batch_results"][0]["plaintext"]).decode() == CANARIES["value"]
    # What the module logged in with is revoked.
    assert vault.tokens == {CANARIES["token"]}


def test_a_value_on_the_command_line_is_refused(site: Site) -> None:
    command = site.command(SECRET, *TOKEN, "-e", "value=harmless")
    done = subprocess.run(command, env=site.environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "list of processes" in done.stdout + done.stderr
    assert not (site.outside / "soa/web/secrets").exists()
