# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""An admission webhook that refuses what a test does not want, as policy engines do in clusters.

with AdmissionWebhook(control_plane, namespaces={PREFIX + "/cluster": cluster.name}) as webhook:
    webhook.refuse("images come from our registry only", kind="Deployment", name="web-main")
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Self

from control_plane import ControlPlane
from https_server import Handler, HttpsServer

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


@dataclass(frozen=True)
class Refusal:
    message: str
    kind: str | None = None
    name: str | None = None
    operation: str | None = None
    dry_run: bool | None = None

    def meets(self, request: dict[str, Any]) -> bool:
        return (
            self.kind in (None, request["kind"]["kind"])
            and self.name in (None, request.get("name"))
            and self.operation in (None, request["operation"])
            and self.dry_run in (None, request.get("dryRun", False))
        )


class AdmissionWebhook(HttpsServer):
    """Registered while it is entered, for namespaces with these labels; nothing else may suffer from it.

    reviews: every AdmissionReview's request that came.
    """

    def __init__(self, control_plane: ControlPlane, *, namespaces: dict[str, str]) -> None:
        self.reviews: list[dict[str, Any]] = []
        self._refusals: list[Refusal] = []
        self._control_plane = control_plane
        self._namespaces = namespaces
        self._name = f"test-{id(self):x}.paasta.test"
        super().__init__(WebhookHandler, control_plane.authority.issue("test-webhook", hosts=("127.0.0.1",)))

    def refuse(self, message: str, **which: Any) -> None:
        """which: kind, name, operation (CREATE, UPDATE, DELETE), dry_run; what is left out fits all."""
        self._refusals.append(Refusal(message, **which))

    def __enter__(self) -> Self:
        rule = {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]}
        webhook = {
            "name": self._name,
            "clientConfig": {
                "url": f"{self.url}/",
                "caBundle": base64.b64encode(self._control_plane.ca.read_bytes()).decode(),
            },
            "rules": [rule | {"scope": "Namespaced"}],
            "namespaceSelector": {"matchLabels": self._namespaces},
            "failurePolicy": "Fail",
            "sideEffects": "None",  # without it, dry runs are refused
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 5,
        }
        configuration = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": self._name},
            "webhooks": [webhook],
        }
        self._control_plane.admin.create(CONFIGURATIONS, configuration)
        return self

    def __exit__(self, *_: object) -> None:
        self._control_plane.admin.delete(f"{CONFIGURATIONS}/{self._name}")
        self.close()

    def verdict(self, request: dict[str, Any]) -> dict[str, Any]:
        self.reviews.append(request)
        refusal = next((refusal for refusal in self._refusals if refusal.meets(request)), None)
        verdict: dict[str, Any] = {"uid": request["uid"], "allowed": refusal is None}
        if refusal:
            verdict["status"] = {"code": 403, "reason": "Forbidden", "message": refusal.message}
        return verdict


class WebhookHandler(Handler):
    server: AdmissionWebhook

    def do_POST(self) -> None:
        review = json.loads(self.body())
        answer = {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": self.server.verdict(review["request"]),
        }
        self.answer(200, json.dumps(answer).encode(), "application/json")
