# Copyright the paasta authors
# Apache License 2.0 or GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt), as you prefer
# SPDX-License-Identifier: Apache-2.0 OR GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: aggregate
short_description: Show what long tasks do while they do it, and a table of what runs at the end
version_added: 0.1.0
author: The paasta authors (@paasta)
description:
  - While a bulk module works, prints a line whenever an instance takes a step, saying what it waits for.
  - At the end prints one table of all instances that the plays have seen, and what is wrong with them.
  - Works beside any stdout callback, and in AWX.
requirements:
  - enabled in configuration, C(callbacks_enabled = paasta.platform.progress)
"""

import json
import os
import shutil
import socket
import tempfile
import threading
import time
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible_collections.paasta.platform.plugins.module_utils.progress import ENVIRONMENT_VARIABLE, emit
from ansible_collections.paasta.platform.plugins.module_utils.table import render


class CallbackModule(CallbackBase):
    """Listens where bulk modules report to, and keeps the rows of the table."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "paasta.platform.progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[tuple[str, str], dict[str, Any]] = {}
        self._directory = ""
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._started = 0.0

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._directory = tempfile.mkdtemp(prefix="paasta-")
        self._started = time.monotonic()
        path = os.path.join(self._directory, "progress")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(path)
        self._socket.listen(128)
        # Workers are forked from this process and start modules with its environment.
        os.environ[ENVIRONMENT_VARIABLE] = path
        self._thread = threading.Thread(target=self._listen, args=(self._socket,), daemon=True, name="paasta-progress")
        self._thread.start()

    def _listen(self, listener: socket.socket) -> None:
        while True:
            connection, _address = listener.accept()
            with connection, connection.makefile("rb") as stream:
                event = json.loads(stream.read() or '{"kind": "nothing"}')
            if event["kind"] == "end":
                return
            self._show(event)

    def _show(self, event: dict[str, Any]) -> None:
        if event["kind"] == "nothing":
            return
        if event["kind"] == "rows":
            self._rows |= {(row["id"], row["engine"]): row for row in event["rows"]}
            return
        mark = "-" if event["kind"] == "done" else " "
        elapsed = time.monotonic() - self._started
        self._display.display(f"{elapsed:7.1f}s {mark} {event['subject']}: {event['text']}", color="bright blue")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        if self._socket is not None and self._thread is not None:
            # In the queue behind everything that was reported before, so nothing of it is lost.
            emit("end")
            self._thread.join(timeout=5)
            self._socket.close()
        os.environ.pop(ENVIRONMENT_VARIABLE, None)
        shutil.rmtree(self._directory, ignore_errors=True)
        if self._rows:
            self._display.display("")
            self._display.display(render(self._rows.values()))
