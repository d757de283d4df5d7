"""`kubectl rollback …`, `kubectl-rollback …` or `python -m model_rollback.cli …`."""

from model_rollback.cli.app import app


def main() -> None:
    """Runs one command and exits with its code."""
    app(prog_name="kubectl rollback")


if __name__ == "__main__":
    main()
