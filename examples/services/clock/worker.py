"""Logs the time, over and over. ``worker.py --check`` tells by its exit status whether it still does."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

TICK = float(os.environ.get("TICK_SECONDS", "2"))
HEARTBEAT = Path(os.environ.get("HEARTBEAT_FILE", Path(tempfile.gettempdir()) / "heartbeat"))


def tick() -> None:
    """One piece of work; the heartbeat is touched only when it succeeds."""
    who = {key: os.environ.get(f"PAASTA_{key.upper()}", "") for key in ("service", "instance", "git_sha", "host")}
    print(json.dumps({"time": time.strftime("%H:%M:%S"), **who}), flush=True)
    HEARTBEAT.touch()


def is_alive() -> bool:
    """Whether the last tick is recent enough: one may be late, two may not."""
    try:
        return time.time() - HEARTBEAT.stat().st_mtime < 2 * TICK + 1
    except FileNotFoundError:
        return False


def main() -> None:
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if is_alive() else f"no tick in {2 * TICK + 1:.0f} seconds")
    # A container may be stopped at any time: finish the tick that was begun, then go.
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    while not stop.is_set():
        tick()
        stop.wait(TICK)


if __name__ == "__main__":
    main()
