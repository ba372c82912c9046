"""Training curves for TensorBoard."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def scalars(
    folder: str | Path | None, note: Callable[[str], None]
) -> Iterator[Callable[[str, float, int], None] | None]:
    """Provides a function `(name, value, step)` that writes curves to a folder; None for None.

    Where they can no longer be written, such as on a full disk, a note says so and the run goes on
    without them.

    Args:
        folder: folder of the curves, which is made.
        note: function that prints a note.

    Raises:
        OSError: if the folder cannot be written at the start.
    """
    if folder is None:
        yield None
        return
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # The name by which TensorBoard finds a file of events.
    name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
    # Unbuffered, so that closing it has nothing left to write.
    with open(folder / name, "xb", buffering=0) as file:
        yield _Curves(file, folder, note)


class _Curves:
    """Writes each point at once: TensorBoard's own writer prints the traceback of its thread."""

    def __init__(self, file: BinaryIO, folder: Path, note: Callable[[str], None]):
        # It takes a second to load, and only here it is needed.
        from tensorboard.compat.proto.event_pb2 import Event, SourceMetadata
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._scalar, self._records = Event, scalar_pb, RecordWriter(file)
        self._folder, self._note = folder, note
        self._is_whole = True
        source = SourceMetadata(writer="keras_transformer")
        self._records.write(
            Event(
                wall_time=time.time(), file_version="brain.Event:2", source_metadata=source
            ).SerializeToString()
        )

    def __call__(self, name: str, value: float, step: int) -> None:
        if not self._is_whole:
            return
        event = self._event(wall_time=time.time(), step=step, summary=self._scalar(name, value))
        try:
            self._records.write(event.SerializeToString())
        except OSError as error:
            self._is_whole = False
            self._note(
                f"The curves in {self._folder} end before step {step} ({error.strerror}); "
                "the run goes on without them."
            )
