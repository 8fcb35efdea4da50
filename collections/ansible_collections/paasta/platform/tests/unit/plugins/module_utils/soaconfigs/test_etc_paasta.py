# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""/etc/paasta: files into one mapping, and the mapping into settings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs import etc_paasta, jsondoc, settings
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.errors import InvalidConfigs
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.keys_etc_paasta import DROPPED
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.keys_settings import SETTINGS
from hypothesis import given
from hypothesis import strategies as st

LEAF = st.booleans() | st.integers(0, 9) | st.text(max_size=3) | st.lists(st.integers(0, 3), max_size=2)
TREES = st.recursive(
    st.dictionaries(st.text(max_size=2), LEAF, min_size=1, max_size=3),
    lambda inner: st.dictionaries(st.text(max_size=2), inner | LEAF, min_size=1, max_size=3),
    max_leaves=8,
)


def write(directory: Path, files: dict[str, Any]) -> str:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return str(directory)


def translate(value: dict[str, Any]) -> etc_paasta.Translation:
    config, conflicts = etc_paasta.merge([jsondoc.parse("x.json", json.dumps(value).encode())])
    assert conflicts == []
    return etc_paasta.translate(config)


def leaves(value: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for key, item in value.items():
        found += leaves(item, (*path, key)) if isinstance(item, dict) else [((*path, key), item)]
    return found


def nested(items: list[tuple[tuple[str, ...], Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for path, item in items:
        target = result
        for key in path[:-1]:
            target = target.setdefault(key, {})
        target[path[-1]] = item
    return result


@given(TREES, st.data())
def test_files_without_conflicts_merge_in_any_order(tree: dict[str, Any], data: st.DataObject) -> None:
    items = leaves(tree)
    # Some leaves are in two files.
    homes = data.draw(st.lists(st.sets(st.integers(0, 2), min_size=1), min_size=len(items), max_size=len(items)))
    texts = [nested([item for item, home in zip(items, homes, strict=True) if n in home]) for n in range(3)]
    order = data.draw(st.permutations(range(3)))
    documents = [jsondoc.parse(f"{n}.json", json.dumps(texts[n]).encode()) for n in order]
    config, conflicts = etc_paasta.merge(documents)
    assert conflicts == []
    assert config.value == tree
    assert {path for path, _item in items} <= set(config.sources)


@given(TREES, st.data())
def test_a_conflict_is_found_in_any_order(tree: dict[str, Any], data: st.DataObject) -> None:
    path, item = data.draw(st.sampled_from(leaves(tree)))
    other = nested([(path, [item, "other"])])
    one, two = (jsondoc.parse(f"{n}.json", json.dumps(v).encode()) for n, v in enumerate((tree, other)))
    for documents in ([one, two], [two, one]):
        _config, conflicts = etc_paasta.merge(documents)
        assert [error.key for error in conflicts] == [etc_paasta.dotted(path)]


def test_reads_every_json_file_below(tmp_path: Path) -> None:
    root = write(tmp_path, {"a.json": {"x": {"a": 1}}, "deep/er/b.json": {"x": {"b": 2}}, "c.yaml": "nonsense: ["})
    config = etc_paasta.read(root)
    assert config.value == {"x": {"a": 1, "b": 2}}
    assert str(config.sources["x", "b"]) == "deep/er/b.json:3"


def test_all_errors_at_once(tmp_path: Path) -> None:
    files = {
        "a.json": {"cluster": "a", "x": {"y": "CANARY1", "z": 1}},
        "b.json": {"cluster": "a", "x": {"y": "CANARY2", "z": True}},
        "c.json": "{",
        "d.json": {"x": 1},
    }
    root = write(tmp_path, files)
    os.symlink("nowhere", tmp_path / "e.json")
    os.mkfifo(tmp_path / "f.json")
    with pytest.raises(InvalidConfigs) as caught:
        etc_paasta.read(root)
    assert [str(error) for error in caught.value.errors] == [
        "b.json:4:3: x.y: differs from a.json:4; keep one of the two",
        "b.json:5:3: x.z: differs from a.json:5; keep one of the two",
        "c.json:1:2: is not valid JSON: Expecting property name enclosed in double quotes",
        "d.json:2:2: x: differs from a.json:3; keep one of the two",
        "e.json: cannot be read: No such file or directory",
        "f.json: cannot be read: is not a file",
    ]
    assert "CANARY" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> bytes:  # root, who may run the tests, reads every file
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(etc_paasta, "read_bytes", refuse)
    with pytest.raises(InvalidConfigs, match="a.json: cannot be read: Permission denied"):
        etc_paasta.read(write(tmp_path, {"a.json": {}}))


def test_no_directory_and_no_files(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfigs, match="cannot be read: No such file or directory"):
        etc_paasta.read(str(tmp_path / "nowhere"))
    with pytest.raises(InvalidConfigs, match="has no \\*.json file"):
        etc_paasta.read(str(tmp_path))


FLINK = {
    "file_prefix": "flink",
    "version": "v1",
    "group": "example.org",
    "kube_kind": {"singular": "Flink", "plural": "flinks"},
}


@pytest.mark.parametrize(
    ("key", "value", "name", "expected"),
    [
        ("cluster", "a", "cluster", "a"),
        ("vault_cluster_map", {"a": "prod"}, "secret_environments", {"a": "prod"}),
        ("volumes", [{"hostPath": "/a", "containerPath": "/b", "mode": "RO"}], "volumes", ["/a:/b:ro"]),
        ("volumes", [{"hostPath": "/a:1", "containerPath": "/b", "mode": "RO"}], "volumes",
         [{"hostPath": "/a:1", "containerPath": "/b", "mode": "RO"}]),
        ("hacheck_sidecar_volumes", [], "hacheck_sidecar_volumes", []),
        ("expected_slave_attributes", [{"region": "a"}], "mesos_attributes", [{"region": "a"}]),
        ("sensu_port", "3030", "sensu_port", 3030),
        ("kubernetes_use_hacheck_sidecar", False, "use_hacheck_sidecar", False),
        ("kubernetes_custom_resources", [FLINK], "custom_resource_types",
         {"flink": {"group": "example.org", "version": "v1", "kind": "Flink", "plural": "flinks"}}),
        ("pdb_max_unavailable", 0, "pdb_max_unavailable", 0),
        ("git_config", {"git_user": "g", "repos": {"default": {"git_server": "git.example.org"}}}, "git_url",
         "g@git.example.org:services/{service}"),
        ("marathon_servers", [{"user": "u", "password": "x", "url": ["http://m"]}], "marathon_servers",
         [{"user": "u", "url": ["http://m"]}]),
    ],
)  # fmt: skip
def test_what_is_taken_over(key: str, value: Any, name: str, expected: Any) -> None:
    result = translate({key: value})
    assert result.values == {name: expected}
    notes = result.taken if name == key else result.renamed
    assert [str(note) for note in notes] == [f"{key} (x.json:1): paasta_{name}"]
    settings.parse({SETTINGS[name].variable: expected})


@pytest.mark.parametrize("key", [name.replace("*", "x") for name in DROPPED])
def test_what_is_dropped_says_why(key: str) -> None:
    result = translate({key: 1})
    assert result.values == {}
    assert [note.text for note in result.dropped] == [DROPPED[key if key in DROPPED else f"{key[:-1]}*"]]


def test_every_setting_of_paasta_is_translated() -> None:
    for row in SETTINGS.values():
        for key in row.paasta:
            head = key.partition(".")[0]
            result = translate({head: "CANARY"})
            assert not result.unknown
            assert not result.dropped
    assert not {key for row in SETTINGS.values() for key in row.paasta} & set(DROPPED)


SECRETS: list[tuple[dict[str, Any], str]] = [
    ({"slack": {"token": "CANARY"}}, "slack.token"),
    ({"marathon_servers": [{"password": "CANARY", "url": ["http://m"]}]}, "marathon_servers.password"),
    ({"marathon_servers": [{"url": ["http://u:CANARY@m"]}]}, "marathon_servers[0].url[0] looks like a secret"),
    ({"paasta_native": {"principal": "x", "secret": "CANARY"}}, "paasta_native.secret"),
    ({"zookeeper": "zk://u:CANARY@a:2181"}, "zookeeper looks like a secret"),
    ({"alertmanager_url": "https://a/?access_token=CANARY"}, "alertmanager_url looks like a secret"),
    ({"dashboard_links": {"a": {"b": "https://u:CANARY@c"}}}, "dashboard_links.a.b looks like a secret"),
    ({"pod_defaults": {"env": {"DB_PASSWORD": "CANARY"}}}, "pod_defaults.env.DB_PASSWORD looks like a secret"),
    ({"pod_defaults": {"env": [{"name": "API_TOKEN", "value": "CANARY"}]}}, "pod_defaults.env[0].value looks"),
    ({"git_config": {"repos": {"default": {"git_server": "https://x:CANARY@g"}}}}, "git_config"),
    ({"tron": {"url": "http://t", "token": "CANARY"}}, "tron"),
    ({"tron": {"url": ["CANARY"]}}, "tron"),
    ({"sensu_port": "CANARY"}, "sensu_port"),
    ({"api_key": "CANARY", "log_writer": {"password": "CANARY"}}, ""),
]


@pytest.mark.parametrize(("value", "says"), SECRETS)
def test_secrets_are_named_and_not_kept(value: dict[str, Any], says: str) -> None:
    result = translate(value)
    assert "CANARY" not in repr(result)
    text = "\n".join(map(str, result.attention))
    assert says in text
    assert bool(text) == bool(says)


def test_names_that_only_look_like_secrets() -> None:
    value = {
        "vault_cluster_map": {"secret-cluster": "prod"},
        "pool_limits": {"a": {"tokens": {"max_cpus": 2, "recommended_pool": "credentials"}}},
        "service_auth_token_settings": {"audience": "x"},
        "zookeeper": "zk://a:2181,b:2181",
        "docker_registry": "registry@a:5000",
    }
    result = translate(value)
    assert result.attention == []
    assert len(result.values) == 5


def test_what_is_unknown_has_a_suggestion() -> None:
    result = translate({"docker_regsitry": 1, "zzzz": 1})
    assert [str(note) for note in result.unknown] == [
        "docker_regsitry (x.json:1): PaaSTA has no such key; did you mean docker_registry?",
        "zzzz (x.json:1): PaaSTA has no such key",
    ]


def test_bad_values_are_not_written() -> None:
    result = translate(
        {
            "deploy_blacklist": [["a", "b", "c"]],
            "clusters": ["Nova", "a"],
            "pool_limits": {"a": {"b": {"max_cpu": 1}}},
            "tron": None,
        }
    )
    assert result.values == {}
    assert [str(note) for note in result.attention] == [
        "clusters (x.json:1): not written: paasta_clusters[0] is not a lower-case name",
        "deploy_blacklist (x.json:1): not written: paasta_deploy_blacklist[0] is not a pair of type and "
        "value, as in [region, uswest1]",
        "pool_limits (x.json:1): not written: paasta_pool_limits.a.b.max_cpu is not a key that is known",
    ]
    assert [str(note) for note in result.dropped] == ["tron (x.json:1): is null, which sets nothing"]


@pytest.mark.parametrize(
    "value", [["x"], {"file_prefix": "a"}, [{"kube_kind": {}}], [{"file_prefix": "a", "kube_kind": {}}] * 2]
)
def test_custom_resources_that_make_no_type(value: Any) -> None:
    result = translate({"kubernetes_custom_resources": value})
    assert result.values == {}
    assert "not written" in str(result.attention[0])


def test_sources_name_every_file(tmp_path: Path) -> None:
    root = write(
        tmp_path, {"b.json": {"dashboard_links": {"a": {}}}, "a.json": {"x": 1, "dashboard_links": {"b": {"c": "d"}}}}
    )
    result = etc_paasta.translate(etc_paasta.read(root))
    assert [note.source for note in result.taken] == ["a.json:3, b.json:3"]
    assert result.origins == {"dashboard_links": "dashboard_links in a.json, b.json"}
