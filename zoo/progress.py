"""What a run tells whoever started it."""

from pathlib import Path
from typing import Any


class Report:
    """Hears how a run goes; the methods do nothing here."""

    def start(self, title: str, total_steps: int) -> None:
        """A run of `total_steps` begins."""

    def step(self, step: int, loss: float) -> None:
        """A step is done; `loss` is the epoch's mean so far."""

    def epoch(self, epoch: int, loss: float, metrics: dict[str, Any], is_best: bool) -> None:
        """An epoch is done and validated."""

    def cut(self, path: Path, rows: int, num_cut: int, max_length: int) -> None:
        """Of a file's rows, so many are longer than the model's input."""
        if num_cut:
            self.note(
                f"{num_cut} of {rows} rows of {path} are longer than {max_length} tokens and were "
                "cut."
            )

    def note(self, text: str) -> None:
        """Something that the user should know."""
