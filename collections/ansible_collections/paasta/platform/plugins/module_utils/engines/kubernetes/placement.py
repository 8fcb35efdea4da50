# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Where the pods of an instance may run: fields of the pod's spec, from the instance and the platform."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ansible_collections.paasta.platform.plugins.module_utils.engines.errors import problem
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.frozen import thaw
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.model import Instance, KeyPath

from . import labels, names
from .facts import Facts

Requirement: TypeAlias = "dict[str, Any]"  # key, operator and, where it compares with any, values

_HOST = "kubernetes.io/hostname"
# A selector on one of these places an instance in a zone by itself (PaaSTA: ZONE_LABELS).
_ZONES = frozenset({"topology.kubernetes.io/zone", "karpenter.sh/nodepool", "topology.ebs.csi.aws.com/zone"})
_OWN_ZONES = ("habitat", "eni_config")
_WITH_VALUES = frozenset({"In", "NotIn"})
_WITH_NUMBER = frozenset({"Gt", "Lt"})


def pod_fields(instance: Instance, facts: Facts) -> dict[str, Any]:
    """``nodeSelector``, ``affinity``, ``topologySpreadConstraints`` and ``tolerations``, those that are not empty."""
    affinity = {"nodeAffinity": _node_affinity(instance, facts), "podAntiAffinity": _pod_anti_affinity(instance, facts)}
    fields: dict[str, Any] = {
        "nodeSelector": _node_selector(instance, facts),
        "affinity": {name: term for name, term in affinity.items() if term},
        "topologySpreadConstraints": _spread(instance, facts),
        "tolerations": thaw(facts.settings.kubernetes_pool_tolerations.get(instance.pool, ())),
    }
    return {name: value for name, value in fields.items() if value}


def problems(instance: Instance, facts: Facts) -> list[str]:
    """Selectors without what they compare with, and constraints that the API refuses."""
    lines = [
        problem(instance, path, f"operator {item['operator']} needs {needed}")
        for path, item in _operators(instance)
        if (needed := _missing(item))
    ]
    spread, platform = instance.keys.get("topology_spread_constraints"), facts.settings.topology_spread_constraints
    seen = set()
    for index, item in enumerate(spread if spread is not None else platform):
        path: KeyPath = ("topology_spread_constraints", index)
        pair = (facts.labels.of_node(item.get("topology_key") or ""), item.get("when_unsatisfiable", "ScheduleAnyway"))
        if not pair[0]:
            lines.append(problem(instance, path, "needs topology_key, the node label to spread over"))
        elif pair in seen:
            lines.append(problem(instance, path, f"there is already a constraint on {pair[0]} with {pair[1]}"))
        seen.add(pair)
        for name in sorted(labels.selector(instance, facts).keys() & (item.get("match_label_keys") or ())):
            message = f"{name} is the same in all pods of an instance"
            lines.append(problem(instance, (*path, "match_label_keys"), message, "drop it"))
        if item.get("max_skew", 1) < 1:
            lines.append(problem(instance, (*path, "max_skew"), f"{item['max_skew']} is not at least 1"))
    return lines


def _node_selector(instance: Instance, facts: Facts) -> dict[str, str]:
    selectors = {facts.labels.of_node("pool"): names.label_value(instance.pool)}
    for label, value in sorted((instance.keys.get("node_selectors") or {}).items()):
        if isinstance(value, str):
            selectors[facts.labels.of_node(label)] = value
    return selectors


def _node_affinity(instance: Instance, facts: Facts) -> dict[str, Any]:
    required = list(_required(instance, facts))
    preferred = [
        {"weight": term["weight"], "preference": {"matchExpressions": expressions}}
        for term in instance.keys.get("node_selectors_preferred") or ()
        if (expressions := [*_requirements(term["preferences"], facts, texts=True)])
    ]
    found: dict[str, Any] = {}
    if required:
        terms = [{"matchExpressions": required}]
        found["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": terms}
    if preferred:
        found["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
    return found


def _required(instance: Instance, facts: Facts) -> Iterator[Requirement]:
    """All of these hold at once: what the platform allows, then what the instance wants."""
    settings, keys, of_node = facts.settings, instance.keys, facts.labels.of_node
    allowed = {_plain(item) for item in (settings.deploy_whitelist, keys.get("deploy_whitelist")) if item}
    for kind, values in sorted(allowed):
        yield _requirement(of_node(kind), "In", values)
    avoided = {
        (str(item[0]), str(item[1])) for item in (*settings.deploy_blacklist, *(keys.get("deploy_blacklist") or ()))
    }
    for kind, value in sorted(avoided):
        yield _requirement(of_node(kind), "NotIn", [value])
    selectors = keys.get("node_selectors") or {}
    yield from _requirements(selectors, facts)
    if not _names_zone(selectors, facts):
        yield from _requirements(settings.pool_node_affinities.get(instance.pool) or {}, facts)


def _plain(whitelist: Sequence[Any]) -> tuple[str, tuple[str, ...]]:
    return str(whitelist[0]), tuple(str(value) for value in whitelist[1])


def _names_zone(selectors: Mapping[str, Any], facts: Facts) -> bool:
    zones = _ZONES.union(facts.labels.legacy(name) for name in _OWN_ZONES)
    return any(facts.labels.of_node(label) in zones for label in selectors)


def _requirements(selectors: Mapping[str, Any], facts: Facts, *, texts: bool = False) -> Iterator[Requirement]:
    """Selectors that are lists; with ``texts`` also those that are one value, which ``nodeSelector`` has otherwise."""
    for label, value in sorted(selectors.items()):
        name = facts.labels.of_node(label)
        if isinstance(value, str):
            if texts:
                yield _requirement(name, "In", [value])
        elif value and isinstance(value[0], str):
            yield _requirement(name, "In", value)
        else:
            for item in value:
                operator = item["operator"]
                values = [item.get("value")] if operator in _WITH_NUMBER else item.get("values") or ()
                yield _requirement(name, operator, values if operator in _WITH_VALUES | _WITH_NUMBER else ())


def _requirement(label: str, operator: str, values: Sequence[Any]) -> Requirement:
    found: Requirement = {"key": label, "operator": operator}
    if values:
        found["values"] = [str(value) for value in values]
    return found


def _operators(instance: Instance) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """Every item with an operator, and where it is."""
    groups: list[tuple[KeyPath, Any]] = [(("node_selectors",), instance.keys.get("node_selectors") or {})]
    for index, term in enumerate(instance.keys.get("node_selectors_preferred") or ()):
        groups.append((("node_selectors_preferred", index, "preferences"), term["preferences"]))
    for path, selectors in groups:
        for label, value in selectors.items():
            if not isinstance(value, str):
                yield from (((*path, label, n), item) for n, item in enumerate(value) if isinstance(item, Mapping))


def _missing(item: Mapping[str, Any]) -> str:
    if item["operator"] in _WITH_VALUES and not item.get("values"):
        return "values"
    return "value" if item["operator"] in _WITH_NUMBER and item.get("value") is None else ""


def _pod_anti_affinity(instance: Instance, facts: Facts) -> dict[str, Any]:
    found: dict[str, Any] = {}
    required = [_pod_term(condition, instance, facts) for condition in _listed(instance.keys.get("anti_affinity"))]
    if required:
        found["requiredDuringSchedulingIgnoredDuringExecution"] = required
    preferred = [
        {"weight": condition.get("weight") or 1, "podAffinityTerm": _pod_term(condition, instance, facts)}
        for condition in _listed(instance.keys.get("anti_affinity_preferred"))
    ]
    if preferred:
        found["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
    return found


def _listed(conditions: Any) -> Sequence[Mapping[str, Any]]:
    """One condition or a list of them; no condition at all means the instance itself."""
    if conditions is None:
        return ()
    return (conditions,) if isinstance(conditions, Mapping) else conditions


def _pod_term(condition: Mapping[str, Any], instance: Instance, facts: Facts) -> dict[str, Any]:
    """Not beside the pods that a condition names, by default the instance's own.

    Others have namespaces of their own, which a term does not look into by itself: PaaSTA's never did, and had no
    effect between services. Where several platforms share a Kubernetes cluster, the label keeps them apart.
    """
    own = labels.selector(instance, facts)
    named = {
        facts.labels.own(key): names.label_value(condition[key]) for key in ("service", "instance") if key in condition
    }
    term: dict[str, Any] = {"topologyKey": _HOST, "labelSelector": {"matchLabels": named or own}}
    if named and named != own:
        named[facts.labels.own("cluster")] = names.label_value(facts.cluster)
        term["namespaceSelector"] = {}
    return term


def _spread(instance: Instance, facts: Facts) -> list[dict[str, Any]]:
    """The instance's constraints, else the platform's; an empty list of the instance is none at all."""
    written = instance.keys.get("topology_spread_constraints")
    if written is None:
        written = facts.settings.topology_spread_constraints
    found = [_constraint(item, instance, facts) for item in written]
    return sorted(found, key=lambda item: (item["topologyKey"], item["whenUnsatisfiable"]))


def _constraint(item: Mapping[str, Any], instance: Instance, facts: Facts) -> dict[str, Any]:
    found = {
        "maxSkew": item.get("max_skew", 1),
        "topologyKey": facts.labels.of_node(item.get("topology_key") or ""),
        "whenUnsatisfiable": item.get("when_unsatisfiable", "ScheduleAnyway"),
        "labelSelector": {"matchLabels": labels.selector(instance, facts)},
    }
    if item.get("match_label_keys"):
        found["matchLabelKeys"] = list(item["match_label_keys"])
    return found
