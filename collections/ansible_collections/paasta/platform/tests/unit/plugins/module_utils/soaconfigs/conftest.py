# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""A small valid soa-configs tree that a test changes where it needs to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

SHA = "0123456789abcdef0123456789abcdef01234567"
DEPLOYMENTS = {
    "v2": {
        "deployments": {
            "prod.main": {"docker_image": f"services-web:paasta-{SHA}", "git_sha": SHA, "image_version": None}
        },
        "controls": {"web:prod.main": {"desired_state": "start", "force_bounce": None}},
    }
}
BASE = {
    "web/service.yaml": "description: a web service\nexternal_link: https://example.org\n",
    "web/monitoring.yaml": "team: words\n",
    "web/deploy.yaml": "pipeline:\n  - step: itest\n  - step: prod.main\n  - parallel: [{step: prod.canary}]\n",
    "web/smartstack.yaml": "main:\n  proxy_port: 20001\n",
    "web/kubernetes-prod.yaml": "main:\n  deploy_group: prod.main\n",
    "web/deployments.json": json.dumps(DEPLOYMENTS),
}

Soa = Callable[..., str]


@pytest.fixture
def soa(tmp_path: Path) -> Soa:
    """``soa({path: text or None})`` writes the base tree with changes and returns its directory."""

    def write(changes: dict[str, str | None] | None = None) -> str:
        for name, text in {**BASE, **(changes or {})}.items():
            path = tmp_path / name
            if text is None:
                path.unlink(missing_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        return str(tmp_path)

    return write
