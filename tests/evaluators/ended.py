"""Whether processes have ended, which they do some moments after they are told to."""

from __future__ import annotations

import os
import time
from pathlib import Path

MOMENTS = 100


def ended(process: int) -> bool:
    """Whether a process ends within seconds. One that nobody has waited for counts as ended."""
    for _ in range(MOMENTS):
        if not _runs(process):
            return True
        time.sleep(0.05)
    return False


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    try:
        return state.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return not state.parent.parent.is_dir()
