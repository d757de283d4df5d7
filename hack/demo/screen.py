"""What the reader sees: colours and a spinner on a terminal, plain lines elsewhere."""

import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal

from rich.console import Console
from rich.text import Text

Tone = Literal["plain", "bad", "good"]

_STYLES = {"plain": "", "bad": "bold red", "good": "bold green"}


class Screen:
    """Prints to stdout. Nothing is ever read as markup: messages of the operator may hold brackets."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self._after_gap = False

    def heading(self, text: str) -> None:
        """A title with an empty line before and after."""
        self._gap()
        self._print(Text(text, style="bold"))
        self._gap()

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Printed with its seconds when the block is done; nothing when it fails."""
        started = time.monotonic()
        if self._console.is_terminal:
            with self._console.status(text):
                yield
        else:
            yield
        self._line(f"{time.monotonic() - started:6.1f} s  ", text)

    def note(self, text: str) -> None:
        """A sentence under a step."""
        self._line(" " * 10, text, style="dim")

    def happening(self, at: datetime, since: datetime, text: str, tone: Tone = "plain") -> None:
        """One line of the story; `since`: where its seconds are counted from."""
        lead = f"{at.astimezone():%H:%M:%S}  {(at - since).total_seconds():+7.1f} s  "
        self._line(lead, text, style=_STYLES[tone])

    def command(self, command: str, output: str) -> None:
        """A command as a reader would type it, and what it answered."""
        self._gap()
        self._print(Text(f"$ {command}", style="bold"))
        self._print(Text(output.rstrip()))

    def text(self, text: str, tone: Tone = "plain") -> None:
        """Lines as they are."""
        self._print(Text(text, style=_STYLES[tone]))

    def _line(self, lead: str, text: str, style: str = "") -> None:
        if self._console.is_terminal:
            width = max(self._console.width - len(lead), 40)
            text = f"\n{' ' * len(lead)}".join(textwrap.wrap(text, width, break_on_hyphens=False))
        self._print(Text.assemble((lead, "dim"), (text, style)))

    def _gap(self) -> None:
        if not self._after_gap:
            self._console.print()
        self._after_gap = True

    def _print(self, text: Text) -> None:
        self._console.print(text)
        self._after_gap = False
