# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""What is right and wrong for each key, written by hand from the reference: the judge of the table of keys.

``TABLES`` maps a table's name to its keys' paths and values; ``PLACES`` says which table speaks for which part of a
document, so that what documents share is written once.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.soaconfigs.values_documents import (
    DEPENDENCY,
    DEPLOY,
    DEPLOYMENTS,
    MESH_ALERTS,
    MONITORING,
    NAMESPACE,
    ROLLBACK,
    SECRET,
    SERVICE,
    STEP,
)
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.soaconfigs.values_instance import (
    AUTOTUNED,
    AUTOTUNED_CASSANDRA,
    CUSTOM,
    INSTANCE,
    MARATHON,
)
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.soaconfigs.values_kinds import TEXTS, Values, v
from ansible_collections.paasta.platform.tests.unit.plugins.module_utils.soaconfigs.values_tron import (
    ACTION,
    JOB,
    MASTER,
    NAMED_ACTION,
    SPARK,
    TRON_MONITORING,
)


class Place(NamedTuple):
    """Keys whose path begins with ``prefix`` are in ``table``, by the rest of their path."""

    prefix: str
    table: dict[str, Values]


_AUTHORIZATION = {
    "authorization": v([{}, {"rules": []}], [[], "all"]),
    "authorization.rules": v([[], [{}]], [{}, ["web"]]),
    "authorization.rules[].identity_groups": v([{}, {"services": []}], [[], "web"]),
    "authorization.rules[].identity_groups.services": TEXTS,
}
_MONITORING = Place("<name>.monitoring.", MONITORING)
_INSTANCES = [_MONITORING, Place("<name>.", INSTANCE)]
_CUSTOM = [Place("<name>.jobs.<name>.monitoring.", MONITORING), _MONITORING, Place("<name>.", CUSTOM)]
_TUNED = [Place("<name>.", AUTOTUNED), Place("<name>.", INSTANCE)]
_TUNED_CASSANDRA = [Place("<name>.", AUTOTUNED_CASSANDRA)]
_ACTIONS = ("<name>.actions.<name>.", "<name>.actions[].", "<name>.cleanup_action.")

# The first place that has the key counts.
PLACES: dict[str, list[Place]] = {
    "service": [Place("monitoring.", MONITORING), Place("", SERVICE), Place("", INSTANCE), Place("", MARATHON)],
    "smartstack": [
        Place("<name>.monitoring.endpoints[].", MESH_ALERTS),
        Place("<name>.monitoring.", MESH_ALERTS),
        Place("<name>.", NAMESPACE),
    ],
    "monitoring": [Place("", MONITORING)],
    "deploy": [Place("pipeline[].parallel[].", STEP), Place("pipeline[].", STEP), Place("", DEPLOY)],
    "dependencies": [Place("<name>[].", DEPENDENCY)],
    "authorization": [Place("", _AUTHORIZATION)],
    "authenticating": [Place("", {"services": TEXTS})],
    "kubernetes": _INSTANCES,
    "eks": _INSTANCES,
    "adhoc": _INSTANCES,
    "marathon": [Place("<name>.", MARATHON), *_INSTANCES],
    "tron": [
        *(Place(f"{prefix}spark_args.", SPARK) for prefix in _ACTIONS),
        Place("<name>.actions[].", NAMED_ACTION),
        *(Place(prefix, table) for prefix in _ACTIONS for table in (ACTION, INSTANCE)),
        Place("<name>.monitoring.", TRON_MONITORING),
        _MONITORING,
        Place("<name>.", JOB),
        Place("<name>.", INSTANCE),
    ],
    "tron-master": [
        Place("", MASTER),
        Place("nodes.<name>.", {key.removeprefix("nodes[]."): row for key, row in MASTER.items()}),
        Place("node_pools.<name>.", {key.removeprefix("node_pools[]."): row for key, row in MASTER.items()}),
    ],
    **dict.fromkeys(
        (
            *("flink", "flinkeks", "cassandracluster", "cassandraclustereks", "kafkacluster", "monkrelays"),
            *("nrtsearchservice", "nrtsearchserviceeks", "custom-resource"),
        ),
        _CUSTOM,
    ),
    "rollback": [
        *(Place(f"conditions.{source}[].", ROLLBACK) for source in ("prometheus", "signalfx", "splunk")),
        Place("", ROLLBACK),
    ],
    "autotuned-kubernetes": _TUNED,
    "autotuned-eks": _TUNED,
    "autotuned-marathon": _TUNED,
    "autotuned-adhoc": _TUNED,
    "autotuned-cassandracluster": _TUNED_CASSANDRA,
    "autotuned-cassandraclustereks": _TUNED_CASSANDRA,
    "secret": [Place("", SECRET)],
    "deployments": [Place("", DEPLOYMENTS)],
}


def find(kind: str, path: str) -> Values | None:
    """The values of one key of a document; None when nobody wrote any."""
    for place in PLACES[kind]:
        rest = path.removeprefix(place.prefix)
        if path.startswith(place.prefix) and rest in place.table:
            return place.table[rest]
    return None
