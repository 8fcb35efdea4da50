# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.schedules import problem
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    "schedule",
    [
        "cron 0 4 * * *",
        "cron */5 * * 7,8 *",
        "cron 0 22-4/2 * * *",
        "cron 30 4 L * *",
        "cron 0 0 * jan-mar,dec MON-fri",
        "cron 0 0 * * 7",
        "cron 0 0 * * ?",
        "cron 0 0 29 2 *",
        "cron 0 0 30 2 mon",
        "cron @daily",
        "daily",
        "daily 04:00",
        "daily 4:00:30 MWF",
        "every day at 04:00",
        "every day",
        "every mon,wednesday of jan,february at 04:00",
        "1st,3rd mon in month 23:59",
        "15th of month at 00:00",
        "Every Monday at 09:00",
        "constant",
        "interval 20s",
        "interval 5 mins",
        "interval hourly",
        {"type": "cron", "value": "0 4 * * *", "jitter": "10min"},
        {"type": "groc daily", "value": "every day"},
        {"start_time": "07:00:00", "days": "MWF"},
        {"start_time": "07:00:00", "days": ["M", "W"]},
        {"interval": "5 mins"},
    ],
)
def test_schedules_of_tron(schedule: Any) -> None:
    assert problem(schedule) == ""


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ("cron 0 4 * *", "has 4 fields, and cron has five: minute, hour, day of month, month, day of week"),
        ("cron 0 0 4 * * *", "has 6 fields, and cron has five: minute, hour, day of month, month, day of week"),
        ("cron 60 4 * * *", "has minute 60, which is not from 0 to 59"),
        ("cron 0 24 * * *", "has hour 24, which is not from 0 to 23"),
        ("cron 0 4 0 * *", "has day of month 0, which is not from 1 to 31"),
        ("cron 0 4 * 13 *", "has month 13, which is not from 1 to 12"),
        ("cron 0 4 * * 8", "has day of week 8, which is not from 0 to 7"),
        ("cron 0 4 * * mno", "has mno as day of week, which is not a number, a range, * or a list of them"),
        ("cron 0 4, * * *", "has nothing as hour, which is not a number, a range, * or a list of them"),
        ("cron */0 4 * * *", "has */0 as minute: a step of 0 goes nowhere"),
        ("cron 0 0 30 2 *", "never happens: no such month has 30 days"),
        ("cron 0 0 31 4,6 *", "never happens: no such month has 31 days"),
        ("cron @dayly", "has @dayly, which is not one of @yearly, @annually, @monthly, @weekly, @daily, @midnight, "
         "@hourly"),
        ("0 4 * * *", 'needs the word cron in front: "cron 0 4 * * *"'),
        ("daily 4", "has 4, which is not a time of the form HH:MM or HH:MM:SS"),
        ("daily 24:00", "has 24:00, which is not a time of the form HH:MM or HH:MM:SS"),
        ("daily 04:00 MXF", "has day X, which is not one of M, T, W, R, F, S and U"),
        ("every dya at 04:00", "is not a schedule"),
        ("every day at 24:00", "has 24:00, which is not a time of the form HH:MM"),
        ("at 04:00", "is not a schedule"),
        ("", "is not a schedule"),
        ("constant 3", "has 3 after constant, which takes nothing"),
        ("interval 20 parsecs", "has an interval 20 parsecs that is not one such as 20 mins"),
        ({"type": "weekly", "value": "x"}, "has type weekly, which is not one of constant, cron, daily, groc daily, "
         "interval"),
        ({"value": "x"}, "is not a schedule: it has no type"),
        (3, "is not a schedule"),
    ],
)  # fmt: skip
def test_what_is_no_schedule(schedule: Any, says: str) -> None:
    assert problem(schedule) == says


@given(st.text(max_size=40).map(lambda text: f"cron {text}") | st.text(max_size=40))
def test_any_text_gives_an_answer(schedule: str) -> None:
    assert isinstance(problem(schedule), str)


@given(
    st.integers(0, 59), st.integers(0, 23), st.integers(1, 28), st.integers(1, 12), st.integers(0, 7), st.integers(1, 9)
)
def test_cron_in_bounds(minute: int, hour: int, day: int, month: int, weekday: int, step: int) -> None:
    assert problem(f"cron {minute}-59/{step} {hour} {day},L {month}-12 {weekday}") == ""
