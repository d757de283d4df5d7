"""Programs that the machine already has, taken only when their version fits exactly."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from .places import cache_root
from .toolset import Tool


def search_path() -> str:
    """PATH without our own cache, so that what we built is never mistaken for the machine's."""
    own = cache_root()
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if folder and not Path(folder).is_relative_to(own))


def fits(tool: Tool, program: Path) -> bool:
    """Ask `program` for its version; False when it does not fit, fails or does not answer."""
    try:
        done = subprocess.run(
            [program, *tool.version_args],
            capture_output=True,
            text=True,
            timeout=15,
            check=True,
            errors="replace",
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return tool.accepts(done.stdout + done.stderr)


def find_fitting(tools: Iterable[Tool]) -> dict[str, Path]:
    """The fitting programs of this machine by tool name; the first on PATH of each name is asked."""
    path = search_path()
    found = {tool: shutil.which(tool.name, path=path) for tool in tools}
    return {
        tool.name: Path(program) for tool, program in found.items() if program and fits(tool, Path(program))
    }
