"""Write docs/settings-reference.md.

.venv/bin/python tests/tools/settings_reference.py
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.paasta.platform.plugins.module_utils.soaconfigs.settings_reference import markdown  # noqa: E402

if __name__ == "__main__":
    (ROOT / "docs/settings-reference.md").write_text(markdown(), encoding="utf-8")
