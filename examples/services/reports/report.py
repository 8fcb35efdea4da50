"""Asks the quotes service through the mesh a number of times and logs which of its instances answered how often."""

from __future__ import annotations

import argparse
import collections
import json
import os
import signal
import threading
import urllib.request

MESH = os.environ.get("PAASTA_MESH_ADDRESS", "169.254.255.254")
QUOTES_URL = f"http://{MESH}:{os.environ.get('QUOTES_PORT', '20001')}/"
SAMPLE = 20
TIMEOUT = 3  # seconds


def ask() -> str:
    """The instance that answered, or what went wrong."""
    try:
        with urllib.request.urlopen(QUOTES_URL, timeout=TIMEOUT) as response:
            return str(json.load(response)["instance"])
    except (OSError, ValueError, KeyError) as error:
        return f"failed: {error}"


def report() -> dict[str, object]:
    return {"report": QUOTES_URL, "answers": dict(collections.Counter(ask() for _ in range(SAMPLE)))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=float, required=True, metavar="SECONDS", help="time between reports")
    every = parser.parse_args().every
    # A container may be stopped at any time: finish the report that was begun, then go.
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    while not stop.is_set():
        print(json.dumps(report()), flush=True)
        stop.wait(every)


if __name__ == "__main__":
    main()
