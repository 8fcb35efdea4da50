# Copyright the paasta authors
# SPDX-License-Identifier: Apache-2.0
"""The programs of the control plane that the tests start; `scripts/kubernetes-programs` has those of nodes too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

from kubernetes_programs.obtain import control_plane as programs

__all__ = ["programs"]
