# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The objects of one instance as the administrator sees them."""

from __future__ import annotations

from client import Client, Object

APPS = "/apis/apps/v1"
CORE = "/api/v1"
HPA = "/apis/autoscaling/v2"
PDB = "/apis/policy/v1"


class Seen:
    def __init__(self, admin: Client, service: str, instance: str = "main") -> None:
        self.admin = admin
        self.namespace = f"paastasvc-{service}"
        self.name = f"{service}-{instance}"

    def path(self, plural: str, group: str = APPS, name: str = "") -> str:
        return f"{group}/namespaces/{self.namespace}/{plural}/{name or self.name}"

    def get(self, plural: str, group: str = APPS, name: str = "") -> Object:
        return self.admin.get(self.path(plural, group, name))

    def exists(self, plural: str, group: str = APPS) -> bool:
        return self.admin.exists(self.path(plural, group))

    @property
    def deployment(self) -> Object:
        return self.get("deployments")

    @property
    def container(self) -> Object:
        return dict(self.deployment["spec"]["template"]["spec"]["containers"][0])
