# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The file that an /etc/paasta directory becomes: what Ansible reads from it, and when it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import etc_paasta, system_config
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.settings import parse
from hypothesis import given
from hypothesis import strategies as st


class Loader(yaml.SafeLoader):
    """Reads Ansible's tag for text that is not a template."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def run(source: Path, dest: Path, check_mode: bool = False, diff: bool = False) -> dict[str, Any]:
    return system_config.run({"directory": str(source), "dest": str(dest)}, check_mode, diff)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "etc"
    directory.mkdir()
    (directory / "a.json").write_text(json.dumps({"cluster": "prod", "docker_registry": "r:5000", "oops": "CANARY"}))
    (directory / "b.json").write_text(json.dumps({"slack": {"token": "CANARY"}, "pod_defaults": {"a": "{{ b }}"}}))
    return directory


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "inventory/group_vars/all/paasta.yml"


@given(VALUES)
def test_yaml_says_what_json_said(value: Any) -> None:
    text = system_config._yaml({"paasta_pod_defaults": {"x": value}})
    assert yaml.load(text, Loader)["paasta_pod_defaults"]["x"] == value


@given(
    st.sampled_from(["yes", "NO", "on", "null", "1e3", "0o7", "1:30", "12_3", "2001-01-01", "=", "~", "", " a", "a: b"])
)
def test_text_that_yaml_might_read_otherwise_is_in_quotes(text: str) -> None:
    assert system_config._yaml({"a": text}) == f"a: {json.dumps(text)}"


@pytest.mark.parametrize("text", ["{{ x }}", "a{% if %}", "{# x #}"])
def test_what_looks_like_a_template_is_none(text: str) -> None:
    assert system_config._yaml({"a": [text]}) == f'a:\n  - !unsafe "{text}"'


def test_written_once(source: Path, dest: Path) -> None:
    first = run(source, dest)
    assert first["changed"]
    values = yaml.load(dest.read_text(), Loader)
    assert values == {
        "paasta_cluster": "prod",
        "paasta_docker_registry": "r:5000",
        "paasta_pod_defaults": {"a": "{{ b }}"},
    }
    assert parse(values).cluster == "prod"
    assert dest.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in dest.parent.iterdir()] == ["paasta.yml"]
    assert not run(source, dest)["changed"]


def test_check_mode_writes_nothing(source: Path, dest: Path) -> None:
    assert run(source, dest, check_mode=True)["changed"]
    assert not dest.parent.parent.exists()


def test_diff_shows_the_file(source: Path, dest: Path) -> None:
    found = run(source, dest, diff=True)["diff"]
    assert (found["before"], found["after"]) == ("", dest.read_text())


def test_every_variable_has_its_meaning_and_origin(source: Path, dest: Path) -> None:
    run(source, dest)
    assert (
        "# The registry as the hosts reach it, `host:port`; the first part of every image's name.\n"
        '# PaaSTA: docker_registry in a.json\npaasta_docker_registry: "r:5000"\n'
    ) in dest.read_text()


def test_what_is_not_written_is_said(source: Path, dest: Path) -> None:
    result = run(source, dest)
    assert result["unknown"] == ["oops (a.json:1): PaaSTA has no such key"]
    assert result["attention"][0].startswith("slack.token (b.json:1): a secret, not written: set paasta_slack_token")
    assert result["attention"][1].startswith("paasta_soa_dir is not in these files: set it")
    assert "# Not known:\n#   oops (a.json:1)" in dest.read_text()
    assert "CANARY" not in dest.read_text() + json.dumps(result)


def test_other_files_of_the_inventory_count(source: Path, dest: Path) -> None:
    dest.parent.mkdir(parents=True)
    other = dest.parent / "main.yml"
    other.write_text("paasta_soa_dir: /soa\npaasta_cluster: x\nsecret: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3031\n")
    (dest.parent / "vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n3031\n")
    attention = "\n".join(run(source, dest)["attention"])
    assert f"paasta_cluster is also set in {other}: keep one of the two" in attention
    assert "paasta_soa_dir" not in attention


@pytest.mark.parametrize("name", ["all.yml", "all.yaml", "all.json", "all"])
def test_a_file_that_ansible_would_no_longer_read_is_refused(source: Path, dest: Path, name: str) -> None:
    dest.parent.parent.mkdir(parents=True)
    (dest.parent.parent / name).write_text("paasta_soa_dir: /soa\n")
    result = run(source, dest)
    assert result["failed"]
    assert "exists, and Ansible reads no such file where there is a directory" in result["msg"]
    assert not dest.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("paasta_cluster: mine\n", "was not written by this import; choose another dest"),
        (
            f"{system_config.HEADER}\n---\npaasta_slack_token: CANARY\n",
            "paasta_slack_token: is a secret that was added here",
        ),
        ("\udcff", "cannot be read"),
    ],
)
def test_a_file_with_something_to_lose_is_kept(source: Path, dest: Path, text: str, message: str) -> None:
    dest.parent.mkdir(parents=True)
    dest.write_bytes(text.encode(errors="surrogateescape"))
    result = run(source, dest, diff=True)
    assert result["failed"]
    assert message in result["msg"]
    assert "CANARY" not in json.dumps(result)
    assert dest.read_bytes() == text.encode(errors="surrogateescape")


def test_errors_are_all_there_and_nothing_is_written(source: Path, dest: Path) -> None:
    (source / "c.json").write_text('{"cluster": "dev",\n"docker_registry": "x"}')
    result = run(source, dest)
    assert result == {
        "failed": True,
        "msg": "Nothing was written.\n"
        "c.json:1:2: cluster: differs from a.json:1; keep one of the two\n"
        "c.json:2:1: docker_registry: differs from a.json:1; keep one of the two",
    }
    assert not dest.exists()


def test_a_directory_that_cannot_be_made(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(source, tmp_path / "file/group_vars/all/paasta.yml")
    assert result["failed"]
    assert "Not a directory" in result["msg"] or "File exists" in result["msg"]


def test_order_is_that_of_the_table() -> None:
    translation = etc_paasta.Translation(
        values={"zookeeper": "zk://a:1", "cluster": "a"}, origins={"zookeeper": "z", "cluster": "c"}
    )
    text = system_config.render(translation)
    assert text.index("paasta_cluster:") < text.index("paasta_zookeeper:")
