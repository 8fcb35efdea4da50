# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of the table of keys: monitoring.yaml, and the same as overrides in an instance. Read through ``keys``."""

from __future__ import annotations

from dataclasses import replace

from .shapes import Key, ListOf, OneOf, Scalar, Struct

_STR = Scalar(("string",))
_BOOL = Scalar(("boolean",))
_STRINGS = ListOf(_STR)
# PaaSTA: pysensu_yelp.human_to_seconds
_DURATION = OneOf(
    (
        Scalar(("string",), pattern=r"^[1-9][0-9]*[YMWDhms]$", says="a duration such as 5m"),
        Scalar(("integer",), minimum=0),
    )
)


def settled(*keys: Key) -> tuple[Key, ...]:
    """Rows none of which changes a container by itself."""
    return tuple(replace(key, restarts=False) for key in keys)


MONITORING_KEYS = settled(
    Key("team", _STR, "whom alerts go to; without it no event is sent"),
    Key("page", _BOOL, "wake someone up; by default as the team says"),
    Key("runbook", _STR, "what to do"),
    Key("tip", _STR, "what to do, in one line"),
    Key("description", _STR, "what it means"),
    Key("component", OneOf((_STR, _STRINGS)), "part of a system"),
    Key("tags", _STRINGS, "free tags"),
    Key("notification_email", OneOf((_STR, _BOOL)), "address, or false for none"),
    Key("slack_channels", OneOf((_STRINGS, _STR)), "channels"),
    Key("irc_channels", OneOf((_STRINGS, _STR)), "channels"),
    Key("ticket", _BOOL, "open a ticket"),
    Key("project", OneOf((_STR, _BOOL)), "project of the ticket"),
    Key("priority", OneOf((_STR, Scalar(("integer",)))), "priority of the ticket"),
    Key("issuetype", _STR, "type of the ticket"),
    Key("alert_after", _DURATION, "how long a problem lasts before it alerts", "5m"),
    Key("realert_every", Scalar(("integer",)), "repeat each so many checks; -1 backs off", -1),
    Key("check_every", _DURATION, "time between checks, which is always 1m", legacy=True),
    Key("check_oom_events", _BOOL, "alert on containers that ran out of memory", True),
    Key("dependencies", _STRINGS, "parent checks"),
    Key("service_type", _STR, "how the service runs", legacy=True),
    Key("check_that_every_day_has_a_successful_run", _BOOL, "for scheduled jobs", False),
    Key("page_for_expected_runtime", _BOOL, "for scheduled jobs", False),
)

# Of the file, and of what overrides it in service.yaml and in instances; none is required, for each may have the team.
MONITORING = Struct(MONITORING_KEYS, lenient=True)
