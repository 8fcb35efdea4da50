# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from ansible_collections.paasta.platform.plugins.module_utils.engines.kubernetes import accounts
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.engines.kubernetes.conftest import Web

ROLE = "arn:aws:iam::123456789012:role/Web_role"


def test_a_role_has_an_account(web: Web) -> None:
    assert accounts.service_account(*web(f"iam_role: '{ROLE}'")) == {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": "paasta--arn-aws-iam-123456789012-role-web-role",
            "namespace": "paastasvc-web",
            "labels": {"paasta.yelp.com/managed": "true", "paasta.yelp.com/cluster": "prod"},
            "annotations": {"eks.amazonaws.com/role-arn": ROLE},
        },
    }


def test_names_end_as_names_do(web: Web) -> None:
    assert accounts.service_account_name(*web("iam_role: 'arn:aws:iam::1:role/x_'")) == "paasta--arn-aws-iam-1-role-x"


def test_an_account_that_the_team_names_is_the_teams(web: Web) -> None:
    instance, facts = web("service_account_name: mine")
    assert accounts.service_account_name(instance, facts) == "mine"
    assert accounts.service_account(instance, facts) is None


def test_by_default_there_is_none(web: Web) -> None:
    instance, facts = web("iam_role: ''")
    assert accounts.service_account_name(instance, facts) is None
    assert accounts.service_account(instance, facts) is None
