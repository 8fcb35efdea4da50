# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Live progress of long work: events from wherever the work runs to the callback plugin that shows them.

The callback ``paasta.platform.progress`` listens on a Unix socket and names it in the environment, which Ansible's
workers and the modules they start inherit. Without a listener (AWX without the callback, a delegated module, a unit
test) every call is a no-op: progress is never a reason for work to fail.
"""

from __future__ import annotations

import json
import os
import socket
import time

ENVIRONMENT_VARIABLE = "PAASTA_PROGRESS_SOCKET"

#: Seconds that work waits at most for whoever watches it.
PATIENCE = 1.0


def emit(kind: str, **fields: object) -> None:
    """Tell a person who watches what happens now.

    :param kind: ``step`` (fields ``subject``, for example ``web.main``, and ``text``: what it does or waits for),
        ``done`` (the same fields; the subject's last word), ``rows`` (field ``rows``, for the table at the end), or
        ``end``, which only the listener itself sends.
    """
    path = os.environ.get(ENVIRONMENT_VARIABLE)
    if not path:
        return
    message = json.dumps({"kind": kind, **fields}).encode()
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sender:
                sender.settimeout(PATIENCE)
                sender.connect(path)
                sender.sendall(message)
            return
        except BlockingIOError:
            # The listener's queue is full: it shows slower than work goes on.
            if time.monotonic() > deadline:
                return
            time.sleep(0.005)
        except OSError:
            # The listener is gone or does not listen: what it would have shown is lost, the work is not.
            return
