# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The lookup over real variables of Ansible: templates, tags, places, secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.utils.display import Display
from ansible_collections.paasta.platform.plugins.lookup import settings
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.settings import VARIABLES, parse


@pytest.fixture
def lookup(tmp_path: Path) -> Any:
    """``lookup(text of group_vars, *terms, **extra variables)`` as Ansible would run it."""

    def run(text: str, *terms: str, **extra: Any) -> dict[str, Any]:
        path = tmp_path / "all.yml"
        path.write_text(text)
        loader = DataLoader()
        variables = {**(loader.load_from_file(str(path), trusted_as_template=True) or {}), **extra}
        plugin = settings.LookupModule(loader=loader, templar=Templar(loader=loader, variables=variables))
        found: list[dict[str, Any]] = plugin.run(list(terms), variables)
        assert len(found) == 1
        return found[0]

    return run


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(Display, "warning", lambda self, message, *args, **kwargs: found.append(message))
    return found


def test_templated_checked_and_plain(lookup: Any) -> None:
    text = """
    name: local
    paasta_cluster: "{{ name }}"
    paasta_lost_guard: "{{ 1 / 4 }}"
    paasta_volumes: ["{{ '/a' }}:/b:ro", {hostPath: "/{{ name }}", containerPath: /d, mode: RW}]
    paasta_build_force: "yes"
    paasta_engines: {kubernetes: docker}
    other: 1
    """
    found = lookup(text, paasta_build_timeout="700")
    assert found == {
        "paasta_cluster": "local",
        "paasta_lost_guard": 0.25,
        "paasta_volumes": ["/a:/b:ro", {"hostPath": "/local", "containerPath": "/d", "mode": "RW"}],
        "paasta_build_force": True,
        "paasta_engines": {"kubernetes": "docker"},
        "paasta_build_timeout": 700,
    }
    values = [*found.values(), *found["paasta_volumes"], found["paasta_volumes"][1]["hostPath"]]
    assert {type(value) for value in values} <= {str, float, int, bool, list, dict}
    assert parse(found).volumes[1].host_path == "/local"


def test_text_that_is_no_template_stays(lookup: Any) -> None:
    assert lookup('paasta_gateway_address: !unsafe "{{ x }}"') == {"paasta_gateway_address": "{{ x }}"}


def test_nothing_set(lookup: Any) -> None:
    assert lookup("a: 1") == {}
    assert lookup("paasta_git_url:") == {}


def test_only_what_is_asked_for(lookup: Any) -> None:
    text = 'paasta_cluster: a\npaasta_lost_guard: nonsense\npaasta_soa_dir: "{{ nowhere }}"\n'
    assert lookup(text, "cluster", "paasta_git_url") == {"paasta_cluster": "a"}
    with pytest.raises(AnsibleLookupError, match="paasta_clustr is not a setting; did you mean paasta_cluster?"):
        lookup(text, "clustr")
    with pytest.raises(
        AnsibleLookupError, match="paasta_vault_token is not a setting of the platform that may be shown"
    ):
        lookup(text, "vault_token")


def test_all_errors_with_their_places(lookup: Any, tmp_path: Path) -> None:
    text = 'paasta_cluster: "{{ nowhere }}"\n\npaasta_lost_guard: 7\npaasta_pool_limits: {a: {b: {max_cpu: 1}}}\n'
    with pytest.raises(AnsibleLookupError) as caught:
        lookup(text, paasta_build_timeout="x")
    path = tmp_path / "all.yml"
    assert str(caught.value).splitlines() == [
        "4 errors in the inventory:",
        'paasta_build_timeout: "x" is not an integer of at least 1',
        f"{path}:1:17: paasta_cluster: cannot be templated: 'nowhere' is undefined",
        f"{path}:3:20: paasta_lost_guard: 7 is not a number from 0 to 1",
        f"{path}:4:21: paasta_pool_limits.a.b.max_cpu: unknown key (value 1); did you mean max_cpus?",
    ]


def test_secrets_and_settings_of_machines_are_left_out(lookup: Any) -> None:
    text = 'paasta_vault_token: CANARY\npaasta_slack_token: "{{ nowhere }}"\npaasta_address: "{{ nowhere }}"\n'
    assert lookup(text) == {}


def test_unknown_names_are_warnings(lookup: Any, warned: list[str]) -> None:
    assert lookup("paasta_clusterz: 1\npaasta_plan: 1\npaasta_cluster: a\n") == {"paasta_cluster": "a"}
    assert warned == ["paasta_clusterz: is not a setting; did you mean paasta_cluster?"]


def test_other_variables_are_not_templated(lookup: Any) -> None:
    """The cost is that of the settings that are set, however many variables there are."""
    others = "".join(f'other_{n}: "{{{{ nowhere_{n} }}}}"\n' for n in range(300))
    assert lookup(others + "paasta_cluster: a\n") == {"paasta_cluster": "a"}


def test_every_setting_of_the_platform_can_be_asked_for(lookup: Any) -> None:
    names = [name for name, row in VARIABLES.items() if not row.secret and not row.machine]
    assert len(names) > 90
    assert lookup("a: 1", *names) == {}
