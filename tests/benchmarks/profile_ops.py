"""Time of each op inside a `.tflite` file, one thread, by LiteRT's own profiler.

    python tests/benchmarks/profile_ops.py int8.tflite dynamic_int8.tflite --runs 50
    python tests/benchmarks/profile_ops.py int8.tflite --in-order

XNNPACK's operators are named one by one, which LiteRT's Python does not offer: this reads them
through the C functions of its library. The least of all runs is shown, in microseconds, which
other programs change less than the mean. With `--in-order` every op has a line, else every kind.
"""

import ctypes
from collections import defaultdict
from pathlib import Path

import ai_edge_litert
import click
import numpy as np

LIBRARY = Path(ai_edge_litert.__file__).with_name("libLiteRt.so")
CPU = 1  # of LiteRtHwAccelerators
WRITE = 1  # of LiteRtTensorBufferLockMode
TYPE_BYTES = 512  # more than a LiteRtRankedTensorType takes
WARM_UP = 3
# Events that contain others, and those of one op.
RUN, OF_OPS = "Invoke", (2, 8)


class Event(ctypes.Structure):
    """`ProfiledEventData` of litert_profiler_event.h."""

    _fields_ = [
        ("tag", ctypes.c_char_p), ("kind", ctypes.c_int), ("start", ctypes.c_uint64),
        ("elapsed", ctypes.c_uint64), ("memory", ctypes.c_uint64 * 6),
        ("metadata", ctypes.c_uint64 * 2), ("source", ctypes.c_int),
    ]  # fmt: skip


class LiteRt:
    """LiteRT's C functions, which return a status, and handles."""

    def __init__(self):
        self._library, self._c = ctypes.CDLL(str(LIBRARY)), ctypes.CDLL(None)
        self._c.strdup.restype = ctypes.c_void_p

    def __call__(self, name, *arguments):
        status = getattr(self._library, f"LiteRt{name}")(*arguments)
        if status:
            raise SystemExit(f"LiteRt{name} failed with status {status}.")

    def handle(self, name, *arguments):
        """What a function writes to its last argument."""
        found = ctypes.c_void_p()
        self(name, *arguments, ctypes.byref(found))
        return found

    def profiled(self, path):
        """A compiled model that runs on one thread and can be profiled, its model, its options."""
        environment = self.handle("CreateEnvironment", 0, None)
        model = self.handle("CreateModelFromFile", environment, str(path).encode())
        options = self.handle("CreateOptions")
        self("SetOptionsHardwareAccelerators", options, CPU)
        text = ctypes.c_void_p(self._c.strdup(b"enable_profiling = true\n"))
        own = self.handle(
            "CreateOpaqueOptions", b"runtime_options_string", text,
            ctypes.cast(self._c.free, ctypes.c_void_p),
        )  # fmt: skip
        self("AddOpaqueOptions", options, own)
        compiled = self.handle("CreateCompiledModel", environment, model, options)
        return environment, model, compiled

    def buffers(self, environment, model, compiled, side):
        """The buffers of the first signature's inputs or outputs; inputs are ones."""
        signature, count = self.handle("GetModelSignature", model, _size(0)), ctypes.c_size_t()
        self(f"GetNumSignature{side}s", signature, ctypes.byref(count))
        found = (ctypes.c_void_p * count.value)()
        for place in range(count.value):
            tensor = self.handle(f"GetSignature{side}TensorByIndex", signature, _size(place))
            kind = ctypes.create_string_buffer(TYPE_BYTES)
            self("GetRankedTensorType", tensor, kind)
            needs = self.handle(
                f"GetCompiledModel{side}BufferRequirements", compiled, _size(0), _size(place)
            )
            buffer = self.handle(
                "CreateManagedTensorBufferFromRequirements", environment, kind, needs
            )
            found[place] = buffer.value
            if side == "Input":
                size, at = ctypes.c_size_t(), ctypes.c_void_p()
                self("GetTensorBufferSize", buffer, ctypes.byref(size))
                self("LockTensorBuffer", buffer, ctypes.byref(at), WRITE)
                ones = np.ones(size.value // 4, np.int32).tobytes()
                ctypes.memmove(at, ones, len(ones))
                self("UnlockTensorBuffer", buffer)
        return count, found


def _size(value):
    return ctypes.c_size_t(value)


def profile(path, runs: int) -> list[tuple[str, int]]:
    """The ops of a file in their order, each with the least microseconds of some runs."""
    litert = LiteRt()
    opened = litert.profiled(path)
    compiled = opened[-1]
    ends = [one for side in ("Input", "Output") for one in litert.buffers(*opened, side)]
    profiler = litert.handle("CompiledModelGetProfiler", compiled)
    for run in range(-WARM_UP, runs):
        if run == 0:
            litert("StartProfiler", profiler)
        litert("RunCompiledModel", compiled, _size(0), *ends)
    litert("StopProfiler", profiler)
    count = ctypes.c_int()
    litert("GetNumProfilerEvents", profiler, ctypes.byref(count))
    events = (Event * count.value)()
    litert("GetProfilerEvents", profiler, count, events)
    found = []
    for event in events:
        name = event.tag.decode()
        if name == RUN:
            found.append([])
        elif found and event.kind in OF_OPS:
            found[-1].append((name, event.elapsed))
    # A run whose events the profiler's buffer had no room for has fewer.
    whole = [one for one in found if len(one) == max(map(len, found))]
    return [(ops[0][0], min(elapsed for _, elapsed in ops)) for ops in zip(*whole, strict=True)]


@click.command(help=__doc__)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--runs", default=50, show_default=True)
@click.option("--in-order", is_flag=True, help="One line for each op.")
def main(files: tuple[Path, ...], runs: int, in_order: bool) -> None:
    for path in files:
        ops = profile(path, runs)
        click.echo(f"{path}: {sum(elapsed for _, elapsed in ops)} us in {len(ops)} ops")
        if in_order:
            rows = [(elapsed, "", name) for name, elapsed in ops]
        else:
            kinds = defaultdict(list)
            for name, elapsed in ops:
                kinds[name].append(elapsed)
            rows = sorted(((sum(v), len(v), k) for k, v in kinds.items()), reverse=True)
        for elapsed, count, name in rows:
            click.echo(f"{elapsed:8d} {count!s:>4}  {name}")


if __name__ == "__main__":
    main()
