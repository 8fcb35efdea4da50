# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What one test calls its own in the control plane that all share."""

from __future__ import annotations

import uuid

from client import Client, Object, Refused

LABEL = "paasta.yelp.com/cluster"


class Cluster:
    """A name for paasta's cluster that no other test has, and a prefix for services and namespaces.

    Services are to be called `cluster.service("web")`: their namespaces, paastasvc-<service>, then differ as well.
    """

    def __init__(self, admin: Client) -> None:
        self._admin = admin
        self.prefix = f"t{uuid.uuid4().hex[:6]}"
        self.name = f"test-{self.prefix}"

    def service(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def namespace(self, name: str) -> str:
        """Make a namespace, with the label of this cluster; its whole name."""
        whole = f"{self.prefix}-{name}"
        self._admin.create(
            "/api/v1/namespaces",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": whole, "labels": {LABEL: self.name}}},
        )
        return whole

    def namespaces(self) -> list[str]:
        """Those that the test made, and those that paasta made for it."""
        return [item["metadata"]["name"] for item in self._admin.items("/api/v1/namespaces") if self._is_ours(item)]

    def _is_ours(self, namespace: Object) -> bool:
        metadata = namespace["metadata"]
        return self.prefix in metadata["name"] or metadata.get("labels", {}).get(LABEL) == self.name

    def remove(self) -> None:
        """Delete the namespaces, and do not wait until the controllers have emptied them."""
        for name in self.namespaces():
            try:
                self._admin.delete(f"/api/v1/namespaces/{name}")
            except Refused as refused:
                if refused.status not in (404, 409):  # gone, or going already
                    raise
