# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""Linux capabilities, as every engine treats them."""

from __future__ import annotations

#: What PaaSTA takes from every container unless ``cap_add`` keeps it, in its order (PaaSTA: ``utils.CAPS_DROP``).
DROPPED = (
    "SETPCAP", "MKNOD", "AUDIT_WRITE", "CHOWN", "NET_RAW", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID",
    "SETUID", "NET_BIND_SERVICE", "SYS_CHROOT", "SETFCAP",
)  # fmt: skip
