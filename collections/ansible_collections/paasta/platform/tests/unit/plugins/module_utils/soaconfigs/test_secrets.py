# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.secrets import (
    ANSIBLE_VAULT,
    LOOKUP,
    VAULT,
    Encrypted,
    SecretRef,
    dump,
    load,
    malformed_references,
    parse_reference,
    read,
    references,
    with_environment,
)
from hypothesis import given
from hypothesis import strategies as st

# PaaSTA: secret_tools.SECRET_REGEX
PAASTA = re.compile(r"^(SHARED_)?SECRET\([A-Za-z0-9_-]*\)$")
TRANSIT = "vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQAVZRkFM13ok481zoCmHnSeDX9vyf7w=="
ANSIBLE = "$ANSIBLE_VAULT;1.1;AES256\n3132333435\n3637\n"
LABELLED = "$ANSIBLE_VAULT;1.2;AES256;prod\n3132333435\n3637\n"

REFERENCES = {
    "SECRET(token)": ("web", "token"),
    "SECRET(a-b_C9)": ("web", "a-b_C9"),
    "SHARED_SECRET(token)": ("_shared", "token"),
    "token": None,
    "": None,
    "SECRET(": None,
    "SECRET()": None,
    "SECRET(a b)": None,
    "SECRET(a)\n": None,
    " SECRET(a)": None,
    "secret(a)": None,
    "xSECRET(a)": None,
    "SECRET(é)": None,
}


@pytest.mark.parametrize(("value", "wanted"), REFERENCES.items())
def test_references(value: str, wanted: tuple[str, str] | None) -> None:
    assert parse_reference(value, "web") == (SecretRef(*wanted) if wanted else None)


@given(st.text(alphabet="SHARED_CT()ab1-_ é\n", max_size=30))
def test_no_reference_that_paasta_would_not_take(value: str) -> None:
    found = parse_reference(value, "web")
    assert (found is not None) == (PAASTA.fullmatch(value) is not None and "()" not in value)
    if found:
        assert found.reference("web") == value


def test_where_a_secret_is() -> None:
    own, shared = SecretRef("web", "token"), SecretRef("_shared", "token")
    assert (own.file, own.reference("web")) == ("web/secrets/token.json", "SECRET(token)")
    assert (shared.file, shared.reference("web")) == ("_shared/secrets/token.json", "SHARED_SECRET(token)")


USES: list[tuple[dict[str, Any], list[tuple[tuple[Any, ...], SecretRef]]]] = [
    ({}, []),
    ({"env": {"A": "b", "N": 1}, "secret_volumes": []}, []),
    ({"env": None, "secret_volumes": None}, []),
    ({"env": {"A": "SECRET(x)"}}, [(("env", "A"), SecretRef("web", "x"))]),
    (
        {"env": {"A": "SECRET(x)", "B": "SHARED_SECRET(x)", "C": "SECRET(x y)"}},
        [(("env", "A"), SecretRef("web", "x")), (("env", "B"), SecretRef("_shared", "x"))],
    ),
    (
        {"secret_volumes": [{"container_path": "/a", "secret_name": "x"}, {"secret_name": "SECRET(x)"}, 3]},
        [(("secret_volumes", 0, "secret_name"), SecretRef("web", "x"))],
    ),
    # As an instance has it once it is frozen.
    ({"secret_volumes": ({"secret_name": "x"},)}, [(("secret_volumes", 0, "secret_name"), SecretRef("web", "x"))]),
]


@pytest.mark.parametrize(("config", "wanted"), USES)
def test_uses(config: dict[str, Any], wanted: list[Any]) -> None:
    assert references(config, "web") == wanted


MALFORMED = {
    "SECRET(a b)": True,
    "SECRET(a": True,
    "SECRET()": True,
    "SHARED_SECRET(é)": True,
    "SECRET (a)": True,
    " SECRET(a)": True,
    "SECRET(a)": False,
    "SHARED_SECRET(a)": False,
    "SECRET": False,
    "TOP_SECRET(a)": False,
    "my SECRET(a)": False,
}


@pytest.mark.parametrize(("value", "wanted"), MALFORMED.items())
def test_malformed_references(value: str, wanted: bool) -> None:
    found = malformed_references({"env": {"A": value}})
    assert [path for path, _message in found] == [("env", "A")] * wanted
    assert all(value not in message for _path, message in found)


def test_malformed_names_of_secret_volumes() -> None:
    config = {"secret_volumes": [{"secret_name": "x"}, {"secret_name": "SECRET(x)"}, {"secret_name": ""}]}
    assert [path for path, _message in malformed_references(config)] == [
        ("secret_volumes", 1, "secret_name"),
        ("secret_volumes", 2, "secret_name"),
    ]


def written(**environments: Any) -> bytes:
    return json.dumps({"environments": environments}).encode()


@pytest.mark.parametrize(
    ("ciphertext", "provider"),
    [(TRANSIT, VAULT), (TRANSIT.replace("v1", "v12"), VAULT), (ANSIBLE, ANSIBLE_VAULT), (LABELLED, ANSIBLE_VAULT)],
)
def test_the_provider_is_told_by_the_ciphertext(ciphertext: str, provider: str) -> None:
    secret, errors = read("f", written(prod={"ciphertext": ciphertext, "signature": "abc"}))
    assert errors == []
    assert secret.environments["prod"] == Encrypted(provider, ciphertext)


def test_a_file_of_paasta() -> None:
    data = b"""{"environments": {"devc": {"ciphertext": "%s", "signature": "x"}}, "extra_namespaces": ["mwaa"],
               "cross_env_motivation": {"devc": "reason"}, "cross_environment_motivation": {"prod": "other"}}"""
    secret, errors = read("f", data % TRANSIT.encode())
    assert errors == []
    assert secret.extra_namespaces == ("mwaa",)
    assert secret.motivation == {"devc": "reason", "prod": "other"}
    assert secret.digest("prod") is None
    assert re.fullmatch("[0-9a-f]{64}", secret.digest("devc") or "")


def test_a_lookup() -> None:
    secret, errors = read("f", written(prod={"lookup": {"term": "paasta/web:token", "version": 3}}))
    assert errors == []
    assert secret.environments["prod"] == Encrypted(LOOKUP, term="paasta/web:token", version="3")


NOT_CIPHERTEXT = r"environments.prod.ciphertext: the value is not a ciphertext: vault:v1:"
WRONG: list[tuple[bytes, list[str]]] = [
    (b"", [r"f:1:1: is not valid JSON"]),
    (b"{", [r"f:1:2: is not valid JSON"]),
    (b"[]", [r"f:1:1: must be a mapping of keys to values"]),
    (b"{}", [r"f: environments is missing"]),
    (b'{"environments": []}', [r"f:1:2: environments: the value is not a mapping"]),
    (b'{"environments": {}, "environments": {}}', [r"f:1:22: environments: duplicate key, first written in line 1"]),
    (b'{\n  "environments": {},\n  "x": 1}', [r"f:3:3: x: unknown key"]),
    (b'{"environments": {}, "extra_namespaces": "a"}', [r"extra_namespaces: .* is not a list of strings"]),
    (b'{"environments": {}, "cross_env_motivation": {"a": 1}}', [r"cross_env_motivation.a: 1 is not a string"]),
    (b'{"environments": {}, "cross_env_motivation": "a"}', [r"cross_env_motivation: .* is not a mapping"]),
    (written(prod=1), [r"environments.prod: the value is not a mapping"]),
    (written(prod={}), [r"environments.prod: needs at least one of ciphertext, lookup"]),
    (
        written(prod={"cipherText": "x"}),
        [r"cipherText: unknown key; did you mean ciphertext\?", r"needs at least one of ciphertext, lookup"],
    ),
    (
        written(prod={"ciphertext": TRANSIT, "lookup": {"term": "a", "version": 1}}),
        [r"has ciphertext and lookup both"],
    ),
    *(
        (written(prod={"ciphertext": text}), [NOT_CIPHERTEXT])
        for text in ("", "vault:v1:", "vault:v0:AAAA", "$ANSIBLE_VAULT;1.1;AES256", "$ANSIBLE_VAULT;1.1;AES256\nxyz", 1)
    ),
    (written(prod={"lookup": 1}), [r"environments.prod.lookup: the value is not a mapping"]),
    (written(prod={"lookup": {}}), [r"lookup: term is missing", r"lookup: version is missing"]),
    (written(prod={"lookup": {"term": "a", "version": True}}), [r"lookup.version: true is not a string or an integer"]),
    (written(prod={"lookup": {"term": "a", "version": ""}}), [r'lookup.version: "" is not a string']),
    (
        written(prod={"lookup": {"term": "a", "version": 1, "name": "pipe"}}),
        [r"lookup.name: .*paasta_secret_lookup"],
    ),
]


@pytest.mark.parametrize(("data", "wanted"), WRONG)
def test_what_is_wrong_is_said_all_at_once(data: bytes, wanted: list[str]) -> None:
    _secret, errors = read("f", data)
    assert len(errors) == len(wanted)
    for pattern in wanted:
        assert any(re.search(pattern, str(error)) for error in errors), errors


def test_what_is_right_is_read_beside_what_is_wrong() -> None:
    secret, errors = read("f", written(prod={"ciphertext": TRANSIT}, dev=1))
    assert len(errors) == 1
    assert secret.digest("prod")


@pytest.mark.parametrize(
    "term", ["../x", "a/../b", "/a/..", "a url=http://x", "a;b", "a\nb", "a'b", "$(a)", "{{ a }}", ".a", ""]
)
def test_terms_that_a_lookup_could_take_for_more(term: str) -> None:
    _secret, errors = read("f", written(prod={"lookup": {"term": term, "version": 1}}))
    assert [error.key for error in errors] == ["environments.prod.lookup.term"]


def test_cleartext_that_was_put_in_by_mistake_is_not_shown() -> None:
    canary = "hunter2-canary"
    files = [
        written(prod={"ciphertext": canary}),
        written(prod={"ciphertext": "", "plaintext": canary}),
        written(prod=canary),
        json.dumps({"environments": {}, "token": canary}).encode(),
        json.dumps(canary).encode(),
        canary.encode(),
        b'{"a": "%s' % canary.encode(),
        b"\xff" + canary.encode(),
    ]
    for data in files:
        _secret, errors = read("f", data)
        assert errors
        assert canary not in "".join(map(str, errors))


def test_the_digest_is_of_the_ciphertext_not_of_its_layout() -> None:
    digest = Encrypted(ANSIBLE_VAULT, ANSIBLE).digest
    assert Encrypted(ANSIBLE_VAULT, ANSIBLE.replace("\n", "\r\n").rstrip()).digest == digest
    others = [
        Encrypted(ANSIBLE_VAULT, ANSIBLE.replace("3132", "3133")),
        Encrypted(VAULT, TRANSIT),
        Encrypted(LOOKUP, term="a", version="1"),
        Encrypted(LOOKUP, term="a", version="2"),
        Encrypted(LOOKUP, term="a1", version=""),
    ]
    assert len({digest, *(other.digest for other in others)}) == 6


def test_an_environment_is_replaced_and_all_else_stays() -> None:
    document, _secret, errors = load(
        "f",
        json.dumps(
            {
                "cross_env_motivation": {"b": "x"},
                "environments": {"a": {"ciphertext": TRANSIT, "signature": "old"}, "b": {"ciphertext": ANSIBLE}},
            }
        ).encode(),
    )
    assert errors == []
    changed = with_environment(document, "a", Encrypted(ANSIBLE_VAULT, LABELLED))
    assert changed == {
        "cross_env_motivation": {"b": "x"},
        "environments": {"a": {"ciphertext": LABELLED}, "b": {"ciphertext": ANSIBLE}},
    }
    assert with_environment(changed, "a", None)["environments"] == {"b": {"ciphertext": ANSIBLE}}
    again, _secret, errors = load("f", dump(changed).encode())
    assert (again, errors) == (changed, [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([TRANSIT, ANSIBLE]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["environments", "ciphertext", "lookup", "term", "version", "prod", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read(data: bytes) -> None:
    secret, errors = read("f", data)
    assert all(len(entry.digest) == 64 for entry in secret.environments.values())
    assert "".join(map(str, errors)) is not None


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"a":' * 100_000, b"1" * 10_000, b'"\\ud800"', b"\xef\xbb\xbf{}"])
def test_hostile_files_are_errors(data: bytes) -> None:
    _secret, errors = read("f", data)
    assert errors
