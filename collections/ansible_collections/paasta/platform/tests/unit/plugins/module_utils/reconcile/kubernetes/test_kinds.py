"""Where objects are, and how requests for them are called."""

from __future__ import annotations

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.reconcile.kubernetes import kinds


@pytest.mark.parametrize(
    ("ref", "path", "subject"),
    [
        ("v1/Namespace//web", "/api/v1/namespaces/web", "GET Namespace web"),
        ("v1/Secret/n/s", "/api/v1/namespaces/n/secrets/s", "GET Secret n/s"),
        ("apps/v1/Deployment/n/web", "/apis/apps/v1/namespaces/n/deployments/web", "GET Deployment n/web"),
        ("v1/Node//node1", "/api/v1/nodes/node1", "GET Node node1"),
        (
            "rbac.authorization.k8s.io/v1/RoleBinding/n/a:b",
            "/apis/rbac.authorization.k8s.io/v1/namespaces/n/rolebindings/a%3Ab",
            "GET RoleBinding n/a%3Ab",
        ),
        ("events.k8s.io/v1/Event/n/e.1", "/apis/events.k8s.io/v1/namespaces/n/events/e.1", "GET Event n/e.1"),
    ],
)
def test_paths_of_references_and_of_objects(ref: str, path: str, subject: str) -> None:
    version, kind, namespace, name = ref.rsplit("/", 3)
    manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}
    assert kinds.path(ref) == path
    assert kinds.path(manifest) == path
    assert kinds.subject("GET", path) == subject
    found = kinds.at(path)
    assert found is not None
    assert (found.api_version, found.kind) == (version, kind)


def test_collections() -> None:
    assert kinds.collection("Deployment") == "/apis/apps/v1/deployments"
    assert kinds.collection("Deployment", "n") == "/apis/apps/v1/namespaces/n/deployments"
    assert kinds.collection("Namespace", "n") == "/api/v1/namespaces"
    assert kinds.collection("Event", "n") == "/api/v1/namespaces/n/events"
    assert kinds.collection("events.k8s.io/v1/Event") == "/apis/events.k8s.io/v1/events"
    assert kinds.subject("GET", "/api/v1/namespaces/n/pods") == "GET pods in n"
    assert kinds.subject("GET", "/api/v1/namespaces") == "GET namespaces"
    assert kinds.subject("GET", "/api/v1/namespaces/n/pods/p/log") == "GET Pod n/p (log)"
    assert kinds.subject("GET", "/version") == "GET /version"


def test_what_is_not_known_is_said() -> None:
    with pytest.raises(kinds.UnknownKind, match="apps/v1/Deploymen .*did you mean apps/v1/Deployment?"):
        kinds.path("apps/v1/Deploymen/n/x")
    with pytest.raises(kinds.UnknownKind, match="is not a reference"):
        kinds.path("web")
    with pytest.raises(kinds.UnknownKind, match="Deployment web has no namespace"):
        kinds.path({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}})


def test_what_others_need_comes_first() -> None:
    names = ["Namespace", "LimitRange", "RoleBinding", "Secret", "Service", "PodDisruptionBudget", "Deployment"]
    orders = [kinds.find(name).order for name in [*names, "HorizontalPodAutoscaler"]]
    assert orders == sorted(set(orders))
    assert kinds.find("StatefulSet").order == kinds.find("Deployment").order
