# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Is this a schedule that Tron understands? Pure; knows nothing of what time it is.

The forms are Tron's own (``cron`` differs from other programs': names of days and months, ``L`` for the last day of a
month, no seconds), so no general cron library would tell the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

FORMS = 'such as "cron 0 4 * * *", "daily 04:00:00 MWF" or "every mon,wed of month at 04:00"'

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONG_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_PREDEFINED = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days of a month, at most

# Name, lowest and highest value, and words for the values from the lowest on.
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_CRON_ITEM = re.compile(r"(?P<low>\d+|\*)(?:-(?P<high>\d+))?(?:/(?P<step>\d+))?")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_INTERVAL = re.compile(r"hourly|\d+\s*(mo|months?|d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?)")


def _groc() -> re.Pattern[str]:
    """Google App Engine's ``(every|1st,3rd) [mon,tue|day] [of jan,feb|month] [[at] HH:MM]``."""
    short = ("su", "mo", "tu", "we", "th", "fr", "sa", "m", "t", "w", "r", "f", "s", "u")
    day = "|".join((*_LONG_DAYS, *_DAYS, *short, "day"))
    month = "|".join((*_LONG_MONTHS, *_MONTHS, "month"))
    ordinal = r"\d+(?:st|nd|rd|th)"
    return re.compile(
        rf"(?:every|{ordinal}(?:,{ordinal})*)(?:\s*(?:{day})(?:,(?:{day}))*)?"
        rf"(?:\s*(?:of|in)\s+(?:{month})(?:,(?:{month}))*)?(?:\s*(?:at\s+)?(?P<time>\d\d:\d\d))?\s*"
    )


_GROC = _groc()


def problem(schedule: Any) -> str:
    """What is wrong with a job's ``schedule``, as the rest of a sentence; empty when nothing is."""
    if isinstance(schedule, str):
        return _text(schedule.strip())
    if not isinstance(schedule, Mapping):
        return "is not a schedule"
    if "type" in schedule:
        kind = schedule["type"]
        if kind not in _TYPES:
            return f"has type {kind}, which is not one of {', '.join(sorted(_TYPES))}"
        return _TYPES[kind](str(schedule.get("value", "")).strip())
    if "interval" in schedule:
        return _interval(str(schedule["interval"]).strip())
    if "start_time" in schedule or "days" in schedule:
        days = schedule.get("days", "")
        days = "".join(days) if isinstance(days, (list, tuple)) else days
        return _daily(f"{schedule.get('start_time', '00:00:00')} {days}".strip())
    return "is not a schedule: it has no type"


@lru_cache(maxsize=1024)
def _text(schedule: str) -> str:
    kind, _space, value = schedule.partition(" ")
    if kind in ("cron", "daily", "interval", "constant"):
        return _TYPES[kind](value.strip())
    if len(schedule.split()) == 5 and not cron_problem(schedule):
        return f'needs the word cron in front: "cron {schedule}"'
    return _groc_problem(schedule)


def _constant(value: str) -> str:
    return f"has {value} after constant, which takes nothing" if value else ""


def _interval(value: str) -> str:
    return "" if _INTERVAL.fullmatch(value) else f"has an interval {value or '(none)'} that is not one such as 20 mins"


def _daily(value: str) -> str:
    time, _space, days = value.partition(" ")
    if time and not _is_time(time):
        return f"has {time}, which is not a time of the form HH:MM or HH:MM:SS"
    wrong = [day for day in days.strip() if day.upper() not in "MTWRFSU"]
    return f"has day {wrong[0]}, which is not one of M, T, W, R, F, S and U" if wrong else ""


def _is_time(text: str) -> bool:
    found = _TIME.fullmatch(text)
    return found is not None and int(found[1]) <= 23 and int(found[2]) <= 59 and int(found[3] or 0) <= 59


def _groc_problem(value: str) -> str:
    found = _GROC.fullmatch(value.lower())
    if found is None:
        return "is not a schedule"
    time = found["time"]
    return "" if time is None or _is_time(time) else f"has {time}, which is not a time of the form HH:MM"


def cron_problem(value: str) -> str:
    """What is wrong with the five fields of a cron expression."""
    if value.startswith("@"):
        return "" if value in _PREDEFINED else f"has {value}, which is not one of {', '.join(_PREDEFINED)}"
    fields = value.split()
    if len(fields) != len(_FIELDS):
        return f"has {len(fields)} fields, and cron has five: minute, hour, day of month, month, day of week"
    chosen: list[set[int]] = []
    for text, (name, lowest, highest, words) in zip(fields, _FIELDS, strict=True):
        values: set[int] = set()
        for item in text.split(","):
            wrong = _item(item, name, lowest, highest, words, values)
            if wrong:
                return wrong
        chosen.append(values)
    days, months = chosen[2], chosen[3]
    if fields[4] in ("*", "?") and min(days) > max(_LONGEST[month - 1] for month in months):
        return f"never happens: no such month has {min(days)} days"
    return ""


def _item(item: str, name: str, lowest: int, highest: int, words: tuple[str, ...], values: set[int]) -> str:
    """Add one of a field's items to ``values``; returns what is wrong with it."""
    if name == "day of month" and item == "L":
        values.add(28)  # every month has a last day
        return ""
    text = item.lower()
    for number, word in enumerate(words, lowest):
        text = text.replace(word, str(number))
    if name == "day of week":
        text = text.replace("?", "*")
    found = _CRON_ITEM.fullmatch(text)
    if found is None:
        return f"has {item or 'nothing'} as {name}, which is not a number, a range, * or a list of them"
    low = lowest if found["low"] == "*" else int(found["low"])
    high = int(found["high"]) if found["high"] else highest if found["low"] == "*" else low
    step = int(found["step"] or 1)
    for number in (low, high):
        if not lowest <= number <= highest:
            return f"has {name} {number}, which is not from {lowest} to {highest}"
    if step < 1:
        return f"has {item} as {name}: a step of 0 goes nowhere"
    if low <= high:
        values.update(range(low, high + 1, step))
    else:  # 22-4: over the end
        values.update((*range(low, highest + 1), *range(lowest, high + 1)))
    return ""


_TYPES: dict[str, Callable[[str], str]] = {
    "constant": _constant,
    "cron": cron_problem,
    "daily": _daily,
    "groc daily": _groc_problem,
    "interval": _interval,
}
