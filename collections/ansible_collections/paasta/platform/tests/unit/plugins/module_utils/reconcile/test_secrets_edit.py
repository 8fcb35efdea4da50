# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import base64
import json
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.paasta.platform.plugins.module_utils.reconcile import secrets_list
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.secrets import (
    Decrypted,
    Item,
    Reencrypted,
    SecretError,
)
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.secrets_edit import ARGUMENTS, run
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import VAULT, Encrypted, read


class Base64:
    """Encrypts with base64 and a counter, so that equal values have different ciphertexts; versions as transit's."""

    def __init__(self) -> None:
        self.version = 1
        self.count = 0
        self.broken = ""

    def encrypt(self, key: str, cleartext: bytes) -> Encrypted:
        if self.broken:
            raise SecretError(self.broken)
        self.count += 1
        text = base64.b64encode(f"{self.count:04}".encode() + cleartext).decode()
        return Encrypted(VAULT, f"vault:v{self.version}:{text}")

    def decrypt(self, items: Sequence[Item]) -> Decrypted:
        return {item: SecretError(self.broken) if self.broken else self._clear(item) for item in items}

    def rotate(self, items: Sequence[Item]) -> Reencrypted:
        newest = f"vault:v{self.version}:"
        return {
            item: item.entry if item.entry.ciphertext.startswith(newest) else self.encrypt(item.key, self._clear(item))
            for item in items
        }

    def _clear(self, item: Item) -> bytes:
        return base64.b64decode(item.entry.ciphertext.rpartition(":")[2])[4:]


Act = Callable[..., dict[str, Any]]
PROD = {"service": "web", "name": "token", "environments": ["prod"]}


@pytest.fixture
def soa(tmp_path: Path) -> Path:
    root = tmp_path / "soa"
    (root / "web").mkdir(parents=True)
    (root / "api").mkdir()
    return root


@pytest.fixture
def vault() -> Base64:
    return Base64()


@pytest.fixture
def act(soa: Path, vault: Base64) -> Act:
    def do(*entries: dict[str, Any], check: bool = False, **arguments: Any) -> dict[str, Any]:
        given = {"soa_dir": str(soa), "secrets": list(entries), "provider": "vault", **arguments}
        validation = ArgumentSpecValidator(ARGUMENTS).validate(given)
        if validation.error_messages:
            return {"failed": True, "msg": "; ".join(validation.error_messages)}
        return run(validation.validated_parameters, {VAULT: vault}, check, True)

    return do


def stored(soa: Path, file: str = "web/secrets/token.json") -> dict[str, str]:
    secret, errors = read(file, (soa / file).read_bytes())
    assert errors == []
    return {
        environment: base64.b64decode(entry.ciphertext.rpartition(":")[2])[4:].decode("latin-1")
        for environment, entry in secret.environments.items()
    }


def actions(result: dict[str, Any]) -> list[str]:
    return [row["action"] for row in result["secrets"]]


def test_add_update_and_nothing(soa: Path, act: Act) -> None:
    added = act({**PROD, "value": "one"})
    assert (added["changed"], actions(added), stored(soa)) == (True, ["added"], {"prod": "one"})
    before = (soa / "web/secrets/token.json").read_bytes()
    again = act({**PROD, "value": "one"})
    assert (again["changed"], actions(again), again["files"], again["diff"]) == (False, ["unchanged"], [], [])
    assert (soa / "web/secrets/token.json").read_bytes() == before
    assert again["secrets"][0]["digest"] == added["secrets"][0]["digest"]
    updated = act({**PROD, "value": "two"})
    assert (updated["changed"], actions(updated), stored(soa)) == (True, ["updated"], {"prod": "two"})
    assert updated["secrets"][0]["digest"] != added["secrets"][0]["digest"]


def test_other_environments_and_what_paasta_wrote_stay(soa: Path, act: Act) -> None:
    (soa / "web/secrets").mkdir()
    file = soa / "web/secrets/token.json"
    old = {"ciphertext": "vault:v1:AAAA", "signature": "abc"}
    file.write_text(json.dumps({"environments": {"dev": old}, "extra_namespaces": ["mwaa"]}))
    act({**PROD, "value": "one"})
    document = json.loads(file.read_text())
    assert document["environments"]["dev"] == old
    assert document["extra_namespaces"] == ["mwaa"]
    act({**PROD, "environments": ["dev"], "value": "two"})
    assert list(json.loads(file.read_text())["environments"]["dev"]) == ["ciphertext"]


def test_shared_secrets(soa: Path, act: Act) -> None:
    act({**PROD, "service": "_shared", "value": "one"})
    assert stored(soa, "_shared/secrets/token.json") == {"prod": "one"}


def test_values_that_are_not_text(soa: Path, act: Act, tmp_path: Path) -> None:
    value = bytes(range(256))
    act({**PROD, "value_base64": base64.encodebytes(value).decode()})
    assert stored(soa)["prod"] == value.decode("latin-1")
    (tmp_path / "value").write_bytes(value)
    assert act({**PROD, "value_file": str(tmp_path / "value")})["changed"] is False


def test_a_pipe_is_read_to_its_end(soa: Path, act: Act, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "value")

    def slowly() -> None:
        with open(tmp_path / "value", "wb", buffering=0) as stream:
            for part in (b"first half, ", b"second half"):
                time.sleep(0.1)
                stream.write(part)

    writer = threading.Thread(target=slowly)
    writer.start()
    act({**PROD, "value_file": str(tmp_path / "value")})
    writer.join()
    assert stored(soa) == {"prod": "first half, second half"}


def test_a_line_feed_at_the_end_is_kept_and_said(soa: Path, act: Act, tmp_path: Path) -> None:
    (tmp_path / "value").write_text("one\n")
    result = act({**PROD, "value_file": str(tmp_path / "value")})
    assert stored(soa) == {"prod": "one\n"}
    assert "ends in a line feed" in result["warnings"][0]


def test_check_mode_changes_nothing_and_tells_the_same(soa: Path, act: Act, vault: Base64) -> None:
    result = act({**PROD, "value": "canary"}, check=True)
    assert (result["changed"], actions(result)) == (True, ["added"])
    assert result["diff"][0]["after"] == "prod: not encrypted in check mode\n"
    assert list(soa.rglob("*.json")) == []
    assert vault.count == 0
    act({**PROD, "value": "one"})
    assert act({**PROD, "value": "one"}, check=True)["changed"] is False
    assert actions(act({**PROD, "value": "two"}, check=True)) == ["updated"]
    assert actions(act({**PROD, "state": "absent"}, check=True)) == ["removed"]
    assert stored(soa) == {"prod": "one"}


def test_no_value_in_results(act: Act) -> None:
    results = [act({**PROD, "value": "canary-1"}), act({**PROD, "value": "canary-2"}), act({**PROD, "state": "absent"})]
    assert "canary" not in str(results)
    assert results[0]["diff"][0]["after"].startswith("prod: vault ")


def test_a_value_that_cannot_be_compared_is_written_anew(act: Act, vault: Base64) -> None:
    act({**PROD, "value": "one"})
    vault.decrypt = lambda items: dict.fromkeys(items, SecretError("no policy"))  # type: ignore[method-assign]
    result = act({**PROD, "value": "one"})
    assert actions(result) == ["updated"]
    assert result["warnings"] == [
        "web/secrets/token.json (prod) is written anew, because it cannot be compared: no policy"
    ]


def test_removing(soa: Path, act: Act) -> None:
    act({**PROD, "environments": ["dev", "prod"], "value": "one"})
    assert actions(act({**PROD, "state": "absent"})) == ["removed"]
    assert stored(soa) == {"dev": "one"}
    assert act({**PROD, "state": "absent"})["changed"] is False
    assert actions(act({**PROD, "environments": [], "state": "absent"})) == ["removed"]
    assert not (soa / "web/secrets/token.json").exists()
    assert act({**PROD, "environments": [], "state": "absent"})["changed"] is False


def test_rotating_one_and_all(soa: Path, act: Act, vault: Base64) -> None:
    act({**PROD, "environments": ["dev", "prod"], "value": "one"}, {**PROD, "service": "_shared", "value": "two"})
    vault.version = 2
    checked = act({"state": "rotated"}, check=True)
    assert [(row["action"], row["digest"]) for row in checked["secrets"]] == [("rotated", None)] * 3
    assert set(stored(soa).values()) == {"one"}
    assert actions(act({"service": "web", "name": "token", "environments": ["dev"], "state": "rotated"})) == ["rotated"]
    result = act({"state": "rotated"})
    assert sorted(actions(result)) == ["rotated", "rotated", "unchanged"]
    assert result["files"] == ["_shared/secrets/token.json", "web/secrets/token.json"]
    assert stored(soa) == {"dev": "one", "prod": "one"}
    assert act({"state": "rotated"})["changed"] is False


def test_a_lookup_is_written_as_it_is(soa: Path, act: Act) -> None:
    lookup = {"term": "web/token", "version": "7"}
    assert actions(act({**PROD, "lookup": lookup})) == ["added"]
    document = json.loads((soa / "web/secrets/token.json").read_text())
    assert document["environments"] == {"prod": {"lookup": lookup}}
    assert act({**PROD, "lookup": lookup})["changed"] is False
    assert actions(act({**PROD, "lookup": {**lookup, "version": "8"}})) == ["updated"]
    assert actions(act({**PROD, "value": "one"})) == ["updated"]


def test_motivation_and_namespaces(soa: Path, act: Act) -> None:
    two = {**PROD, "environments": ["dev", "prod"], "value": "one"}
    act({**two, "motivation": "same database", "extra_namespaces": ["mwaa"]})
    document = json.loads((soa / "web/secrets/token.json").read_text())
    assert document["cross_env_motivation"] == {"dev": "same database", "prod": "same database"}
    assert document["extra_namespaces"] == ["mwaa"]
    result = act({**two, "motivation": "same database", "extra_namespaces": []})
    assert (result["changed"], actions(result)) == (True, ["unchanged", "unchanged"])


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({**PROD, "service": "wbe", "value": "canary"}, r'secrets\[0\].service: "wbe" is not a service; did you mean web?'),
    ({**PROD, "name": "a/b", "value": "canary"}, r'"a/b" is not the name of a secret; use letters'),
    ({**PROD, "environments": [], "value": "canary"}, "environments: is empty"),
    ({**PROD, "environments": ["", " dev"], "value": "canary"}, '" dev" is not the name of an environment'),
    ({**PROD, "environments": [""], "state": "absent"}, 'environments: "" is not the name of an environment; give'),
    ({**PROD, "value": ""}, "the value is empty; give one; a prompt needs a terminal"),
    ({**PROD}, "state is present but any of the following are missing: value"),
    ({**PROD, "value": "canary", "value_file": "/x"}, "mutually exclusive"),
    ({**PROD, "value_file": "/nowhere"}, "/nowhere cannot be read: No such file"),
    ({**PROD, "value_base64": "canary!"}, "value_base64: is not base64"),
    ({**PROD, "lookup": {"term": "a url=b", "version": "1"}}, "is not the term of a lookup"),
    ({**PROD, "exists": True, "value": "canary"}, 'token.json has no value for environment "prod"; add it'),
    ({"name": "x", "state": "rotated"}, r"secrets\[0\].service: is missing"),
    ({"service": "web", "name": "x", "state": "rotated"}, "web/secrets/x.json: does not exist; add it"),
]


def test_rotating_an_environment_that_no_secret_has(act: Act) -> None:
    act({**PROD, "value": "one"})
    result = act({"state": "rotated", "environments": ["prd"]})
    assert 'no secret has a value for environment "prd"; did you mean prod?' in result["msg"]


@pytest.mark.parametrize(("entry", "message"), REFUSED)
def test_refusals(soa: Path, act: Act, entry: dict[str, Any], message: str) -> None:
    result = act({**PROD, "name": "good", "value": "good"}, entry)
    assert result["failed"] is True
    assert "canary" not in result["msg"]
    assert re.search(message.replace("secrets\\[0\\]", "secrets\\[1\\]"), result["msg"]), result["msg"]
    assert list(soa.rglob("*.json")) == []


def test_a_value_that_is_there_already(act: Act) -> None:
    act({**PROD, "value": "one"})
    assert "has a value already" in act({**PROD, "exists": False, "value": "two"})["msg"]
    assert act({**PROD, "exists": True, "value": "two"})["changed"] is True


def test_all_or_nothing(soa: Path, act: Act, vault: Base64) -> None:
    (soa / "api/secrets").mkdir()
    (soa / "api/secrets/bad.json").write_text('{"environments": 1}')
    both = [{**PROD, "value": "one"}, {**PROD, "service": "api", "name": "bad", "value": "two"}]
    assert "api/secrets/bad.json:1:2: environments: the value is not a mapping" in act(*both)["msg"]
    assert not (soa / "web/secrets").exists()
    vault.broken = "HTTP 403"
    result = act({**PROD, "value": "one"}, {**PROD, "name": "other", "value": "two"})
    assert "web/secrets/other.json (prod), web/secrets/token.json (prod): HTTP 403" in result["msg"]
    assert not (soa / "web/secrets").exists()


def test_a_provider_that_is_not_set_up(act: Act) -> None:
    assert "only the controller can" in act({**PROD, "value": "one"}, provider="ansible_vault")["msg"]


def test_a_directory_that_is_none(act: Act) -> None:
    assert "is not a readable soa-configs directory" in act({**PROD, "value": "one"}, soa_dir="/nowhere")["msg"]


def test_the_list(soa: Path, act: Act) -> None:
    act({**PROD, "environments": ["dev", "prod"], "value": "one"}, {**PROD, "service": "_shared", "value": "two"})
    (soa / "api/secrets").mkdir()
    (soa / "api/secrets/bad.json").write_text("{}")
    (soa / "api/secrets/empty.json").write_text('{"environments": {}}')
    result = secrets_list.run({"soa_dir": str(soa), "services": []})
    assert [(row["service"], row["name"], row["environment"]) for row in result["secrets"]] == [
        ("api", "empty", None),
        ("web", "token", "dev"),
        ("web", "token", "prod"),
        ("_shared", "token", "prod"),
    ]
    assert result["warnings"] == ["api/secrets/bad.json: environments is missing; it must be a mapping to mappings"]
    assert result["table"].splitlines()[0].split() == ["service", "secret", "environment", "provider", "digest"]
    assert secrets_list.run({"soa_dir": str(soa), "services": ["web"]})["secrets"] == result["secrets"][1:3]
    assert "did you mean web?" in secrets_list.run({"soa_dir": str(soa), "services": ["wbe"]})["msg"]
