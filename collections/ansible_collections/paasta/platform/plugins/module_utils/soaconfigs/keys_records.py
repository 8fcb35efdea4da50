# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of the table of keys: documents beside the instances: who may call whom, when to roll back, secrets, records.

Read through ``keys``.
"""

from __future__ import annotations

from .keys_common import ANY_MAP, BOOL, COUNT, PORT, STR, STRINGS
from .keys_monitoring import settled
from .shapes import Key, ListOf, MapOf, OneOf, Scalar, Struct

__all__ = [
    "ANSIBLE_VAULT",
    "AUTHENTICATING",
    "AUTHORIZATION",
    "DEPENDENCIES",
    "DEPLOYMENTS",
    "ROLLBACK",
    "SECRET",
    "TERM",
    "TRANSIT",
]

_NULL_OR_STR = OneOf((STR, Scalar(("null",))))

# PaaSTA never had a schema of the next three: what it does not know, it does not look at.

_PORTS = Scalar(("string",), pattern=r"^[0-9]{1,5}(:[0-9]{1,5})?$", says='ports such as "1024:65535"')
_DEPENDENCY = Struct(
    settled(
        Key("well-known", Scalar(("string",), choices=("internet",)), "everything that is not on the inside"),
        Key("smartstack", STR, "service.namespace it calls"),
        Key("cidr", STR, "network it calls, such as 10.0.0.0/8"),
        Key(
            "port",
            OneOf((PORT, _PORTS)),
            "port or first:last of cidr; by default all",
        ),
    ),
    open_=True,
    needs=("well-known", "smartstack", "cidr"),
)  # fmt: skip
# By the name that dependencies_reference gives; main is the default of PaaSTA.
DEPENDENCIES = MapOf(ListOf(_DEPENDENCY))

_GROUPS = Struct(settled(Key("services", STRINGS, "services that may call", [])), open_=True)
_RULES = ListOf(Struct(settled(Key("identity_groups", _GROUPS, "who may call")), open_=True))
AUTHORIZATION = Struct(
    settled(Key("authorization", Struct(settled(Key("rules", _RULES, "who may call")), open_=True), "rules of access")),
    open_=True,
)
AUTHENTICATING = Struct(
    settled(Key("services", STRINGS, "services whose pods get a service account token", required=True)), open_=True
)

_BOUND = Scalar(("number", "null"), says="a number")


def _conditions(*special: Key) -> ListOf:
    keys = (
        Key("query", STR, "what to ask; one number is the answer", required=True),
        *special,
        Key("dry_run", BOOL, "only tell", False),
        Key("upper_bound", _BOUND, "fails above; null: no bound"),
        Key("lower_bound", _BOUND, "fails below; null: no bound"),
    )
    return ListOf(Struct(settled(*keys), needs=("upper_bound", "lower_bound")))


_QUERY_TYPE = Key(
    "query_type", Scalar(("string",), choices=("number", "results")), "the answer's number, or its length"
)
_SOURCES = Struct(
    settled(
        Key("prometheus", _conditions(), "PromQL queries", []),
        Key("signalfx", _conditions(), "SignalFlow queries", []),
        Key("splunk", _conditions(_QUERY_TYPE), "Splunk queries", []),
    )
)
_SECONDS = Scalar(("integer",), minimum=1)
ROLLBACK = Struct(
    settled(
        Key("conditions", _SOURCES, "what is watched after a deploy, by source", {}),
        Key("enable_slo_rollback", BOOL, "also watch the service's SLOs", True),
        Key("allowed_failing_queries", COUNT, "conditions that may fail without a rollback", 0),
        Key("rollback_window_s", _SECONDS, "how long to watch", unit="s"),
        Key("check_interval_s", _SECONDS, "time between looks", unit="s"),
    )
)

# What Vault's transit engine or Ansible Vault wrote: anything else may be a secret in the clear, so it is refused, and
# no message shows what is in these files.
TRANSIT = r"vault:v[1-9][0-9]*:[A-Za-z0-9+/]+={0,2}"
ANSIBLE_VAULT = r"\$ANSIBLE_VAULT;[0-9.]+;[A-Z0-9]+(;[^\s;]+)?\r?\n[0-9a-f\s]+"
_CIPHERTEXT = Scalar(
    ("string",),
    pattern=rf"^({TRANSIT}|{ANSIBLE_VAULT})$",
    says="a ciphertext: vault:v1:... (HashiCorp Vault) or $ANSIBLE_VAULT;..., as playbooks/secret.yml writes it",
    sensitive=True,
)
_SIGNATURE = Scalar(("string", "null"), says="a string", sensitive=True)
# Without = and quotes, because some lookups (community.hashi_vault.hashi_vault, password) read options from the term;
# and no way up for those that read files.
TERM = Scalar(
    ("string",),
    pattern=r"^(?!(.*/)?\.\.(/|$))[A-Za-z0-9_/][A-Za-z0-9_./:@#+ -]*$",
    says="the term of a lookup: letters, digits, spaces and _./:@#+- but no .. and no dot at the beginning",
    sensitive=True,
)
_VERSION = OneOf((Scalar(("string",), pattern=r"^[\s\S]+$", says="a string"), Scalar(("integer",))))
_LOOKUP_OTHERS = "which lookup is asked, and with which options, is in the inventory: paasta_secret_lookup"
_LOOKUP = Struct(
    settled(
        Key("term", TERM, "what the lookup of paasta_secret_lookup is asked for", required=True),
        Key("version", _VERSION, "change it when the secret changes, to restart what uses it", required=True),
    ),
    others={"name": _LOOKUP_OTHERS, "options": _LOOKUP_OTHERS},
    sensitive=True,
)
_ENVIRONMENT = Struct(
    settled(
        Key("ciphertext", _CIPHERTEXT, "the secret, encrypted"),
        Key("signature", _SIGNATURE, "of the secret: tells whether it changed"),
        Key("lookup", _LOOKUP, "where an Ansible lookup finds the secret, instead of ciphertext"),
    ),
    needs=("ciphertext", "lookup"),
    sensitive=True,
)
SECRET = Struct(
    settled(
        Key("environments", MapOf(_ENVIRONMENT, sensitive=True), "the secret, by environment", required=True),
        Key("extra_namespaces", STRINGS, "further Kubernetes namespaces that get it", []),
        Key("cross_env_motivation", MapOf(STR), "why environments share a value, by environment", {}),
        Key("cross_environment_motivation", MapOf(STR), "the same; PaaSTA has both spellings", {}),
    ),
    sensitive=True,
)

_STATE = Key("desired_state", Scalar(("string",), choices=("start", "stop")), "whether it runs", required=True)
_FORCE = Key("force_bounce", _NULL_OR_STR, "restarts it when it changes", None)
_V1 = Struct(settled(Key("docker_image", STR, "image without registry", required=True), _STATE, _FORCE), open_=True)
_VERSIONS = Struct(
    settled(
        Key("docker_image", STR, "image without registry", required=True),
        Key("git_sha", STR, "commit it was built from", required=True),
        Key("image_version", _NULL_OR_STR, "tells builds of one commit apart", None),
    ),
    open_=True,
)
_V2 = Struct(
    settled(
        Key("deployments", MapOf(_VERSIONS), "by deploy group", required=True),
        Key(
            "controls", MapOf(Struct(settled(_STATE, _FORCE), open_=True)), "by service:cluster.instance", required=True
        ),
    ),
    open_=True,
)
DEPLOYMENTS = Struct(
    settled(
        Key("v1", MapOf(_V1), "former form, by service:paasta-cluster.instance"),
        Key("v2", _V2, "what is read"),
        Key("history", MapOf(ListOf(ANY_MAP)), "earlier marks by deploy group, the newest first; PaaSTA has none"),
    ),
    open_=True,
    needs=("v1", "v2"),
)
