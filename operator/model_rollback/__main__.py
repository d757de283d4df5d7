"""`python -m model_rollback`: runs the operator until SIGTERM or Ctrl-C."""

import asyncio
import sys

if __name__ == "__main__":
    # structlog takes rich where it finds it, and the plugin in the same image needs it: 7 MB that no log line uses.
    sys.modules["rich"] = None  # type: ignore[assignment]

from pydantic import ValidationError

from model_rollback import logs
from model_rollback.app import App
from model_rollback.errors import OutsideError
from model_rollback.presets.kinds import PresetError
from model_rollback.settings import Settings, load


def main() -> int:
    """0 after a clean end, 2 for settings that cannot be used, 1 for anything else."""
    try:
        settings = load(sys.argv[1:])
    except (ValidationError, OSError, ValueError) as error:
        print(f"model-rollback-operator: the settings cannot be used: {error}", file=sys.stderr)
        return 2
    logs.configure(settings.log)
    try:
        asyncio.run(_run(settings))
    except (OutsideError, OSError, PresetError) as error:
        print(f"model-rollback-operator: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(settings: Settings) -> None:
    await App(settings).run()


if __name__ == "__main__":
    sys.exit(main())
