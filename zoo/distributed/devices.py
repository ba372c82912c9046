"""The devices and processes that a run is spread over.

One process computes on all its devices; several, started by SLURM, Open MPI, Kubernetes or by hand,
find each other at a coordinator and do every step together: each holds its share of a batch's rows,
and JAX sums the gradients.
"""

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from keras_transformer.zoo.distributed.layout import DATA, MODEL, Layout
from keras_transformer.zoo.errors import InputError, LostError, RunError

# Others need not have it.
if keras.config.backend() == "jax":
    import jax
    from jax.experimental import multihost_utils

# Rows of a batch are a multiple of this where the replicas divide it, so that a run can go on with
# another number of devices.
ROWS_MULTIPLE = 8
# Within these a process that died, or never came, ends the others.
HEARTBEAT_SECONDS, JOINING_SECONDS = 10, 60

# What JAX says where another process is gone; it has no kind of error of its own.
_LOST = re.compile(
    r"Gloo|NCCL|coordination service|heartbeat|Connection (reset|refused|closed)", re.IGNORECASE
)
# Variables by which launchers say that there are other processes.
_LAUNCHERS = ("SLURM_STEP_NODELIST", "OMPI_COMM_WORLD_SIZE", "JAX_COORDINATOR_ADDRESS")
_SPEC = re.compile(r"(?:(data|fsdp)(?:,|$))?(?:model:([1-9]\d*))?")


class Devices:
    """The devices of a distributed run, as a mesh (replicas, model).

    Args:
        kind: `data`, where each replica of the model has a share of a batch's rows; `fsdp`, where
            the replicas also share the weights; `model:N`, where N devices share each weight that
            `layout.PATTERNS` names; or `data,model:N`.

    Attributes:
        replicas: number of replicas of the model, which divide a batch's rows.
        is_writer: whether this process writes files and reports.
    """

    def __init__(self, kind: str):
        rows, model = _parsed(kind)
        count = jax.device_count()
        if count % model or (rows is None and count != model):
            raise InputError(
                f"Expected model:N of distribute to {'be' if rows is None else 'divide'} the "
                f"number of devices, {count}, got distribute={kind!r}."
            )
        self.replicas, self.is_writer = count // model, jax.process_index() == 0
        self.processes = jax.process_count()
        mesh = keras.distribution.DeviceMesh(
            (self.replicas, model), (DATA, MODEL), keras.distribution.list_devices()
        )
        self.layout = Layout(mesh, is_shared=rows == "fsdp")

    def place(self, rows: np.ndarray) -> Any:
        """Returns the rows (B, ...) of a batch on the devices, of which each replica has its share.

        A batch that the replicas do not divide is computed by all of them.
        """
        axes = [DATA if not len(rows) % self.replicas else None, *[None] * (rows.ndim - 1)]
        layout = keras.distribution.TensorLayout(axes, self.layout.device_mesh).backend_layout
        # Each process has the whole batch, of which it gives its devices what is theirs.
        return jax.make_array_from_callback(rows.shape, layout, lambda places: rows[places])

    def rows_multiple(self) -> int:
        """Default of the recipe's option of that name."""
        return ROWS_MULTIPLE if not ROWS_MULTIPLE % self.replicas else self.replicas

    def check_run(self, rows_multiple: int, recipe: str, data: str) -> None:
        """Checks that a run fits the devices, and is the same in all processes.

        Args:
            rows_multiple: the recipe's option of that name.
            recipe, data: what tells a recipe and rows from others.

        Raises:
            InputError: if it does not, or if the processes differ.
        """
        if rows_multiple % self.replicas:
            raise InputError(
                f"Expected rows_multiple to be a multiple of the {self.replicas} replicas, which "
                f"share the rows of a batch, got rows_multiple={rows_multiple}."
            )
        if self.processes == 1:
            return
        for name, text in (("recipe", recipe), ("training data", data)):
            digest = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
            found = np.asarray(multihost_utils.process_allgather(digest))
            others = [place for place, one in enumerate(found) if (one != found[0]).any()]
            if others:
                raise InputError(
                    f"Expected all processes of the run to have the same {name}, got another one "
                    f"in process {', '.join(map(str, others))} than in process 0."
                )


_current: list[Devices] = []


def current() -> Devices | None:
    """Returns the devices of the distributed run that is under way; None without one."""
    return _current[-1] if _current else None


def is_writer() -> bool:
    """Whether this process writes files and reports: the only one, or the first of several."""
    return not _current or _current[-1].is_writer


def meet(what: str) -> None:
    """Waits until every process of a distributed run is here."""
    if _current and _current[-1].processes > 1:
        multihost_utils.sync_global_devices(what)


@contextmanager
def loss_told() -> Iterator[None]:
    """Raises LostError in one sentence where another process of a run is gone."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if isinstance(error, InputError | RunError) or not _LOST.search(str(error)):
            raise
        raise LostError(
            "Another process of the run ended or cannot be reached; start all of them again, to "
            "resume from the last state."
        ) from error


@contextmanager
def distributed(
    kind: str, *, coordinator: str | None = None, processes: int | None = None,
    process: int | None = None,
) -> Iterator[Devices]:  # fmt: skip
    """Spreads the models that are built in its context, and their runs, over devices.

    SLURM, Open MPI, Cloud TPU and Kubernetes tell JAX of the other processes; elsewhere the last
    three arguments do. It has to come before anything computes on JAX.

    Args:
        kind: see `Devices`.
        coordinator: host and port at which the processes find each other, `10.0.0.1:1234`, of the
            machine of process 0; by default that of the cluster, or this process is alone.
        processes: number of processes.
        process: index of this process.

    Raises:
        InputError: for another backend than JAX, or devices that the kind does not fit.
        RunError: if the processes did not find each other.
    """
    backend = keras.config.backend()
    if backend != "jax":
        raise InputError(
            f"Expected Keras' backend to be jax for distribute={kind!r}, got {backend}; set "
            "KERAS_BACKEND=jax."
        )
    _parsed(kind)
    _join(coordinator, processes, process)
    devices = Devices(kind)
    if devices.processes > 1:
        # All draw the same weights, also those of a model that is then assigned others.
        keras.utils.set_random_seed(0)
    with devices.layout.scope():
        _current.append(devices)
        try:
            with loss_told():
                yield devices
        finally:
            _current.pop()


def _parsed(kind: str) -> tuple[str | None, int]:
    """How rows are divided, if they are, and the number of devices that share a weight."""
    found = _SPEC.fullmatch(kind)
    if not kind or not found or kind.endswith(","):
        raise InputError(
            "Expected distribute to be data, fsdp, model:N or data,model:N, got "
            f"distribute={kind!r}."
        )
    return found[1], int(found[2] or 1)


def _join(coordinator: str | None, processes: int | None, process: int | None) -> None:
    """Finds the other processes, once."""
    given = {"coordinator": coordinator, "processes": processes, "process": process}
    missing = [name for name, value in given.items() if value is None]
    if 0 < len(missing) < len(given):
        raise InputError(
            "Expected coordinator, processes and process together, got no "
            f"{' and no '.join(missing)}."
        )
    if coordinator is not None:
        host, _, port = coordinator.rpartition(":")
        if not host or not port.isdecimal():
            raise InputError(
                f"Expected coordinator to be HOST:PORT, got coordinator={coordinator!r}."
            )
        if not 0 <= process < processes:
            raise InputError(
                f"Expected process to be from 0 to below processes={processes}, got "
                f"process={process}."
            )
    if jax.distributed.is_initialized():
        return
    failures: list[Exception] = []
    joining = threading.Thread(target=_initialize, args=(failures, *given.values()), daemon=True)
    joining.start()
    joining.join(JOINING_SECONDS)
    if joining.is_alive():
        raise LostError(
            f"The {processes or 'other'} processes did not meet at {coordinator or 'the cluster'} "
            f"within {JOINING_SECONDS} s; start the same command in each, with its own process "
            "index from 0, and check that the first can be reached there."
        )
    if not failures:
        return
    said = str(failures[0])
    # JAX's words where no cluster started this process: it is alone.
    if coordinator is None and "coordinator_address should be defined" in said:
        return
    if "must be called before" in said:
        if coordinator is None and not any(map(os.environ.get, _LAUNCHERS)):
            return
        raise InputError(
            "Expected distribute before anything is computed on JAX, got a process that has "
            "already computed; start it first."
        ) from failures[0]
    raise RunError(f"The processes of the run did not meet: {said}") from failures[0]


def _initialize(
    failures: list[Exception], coordinator: str | None, processes: int | None, process: int | None
) -> None:
    try:
        jax.distributed.initialize(
            coordinator, processes, process,
            # Where this is over JAX aborts the whole process, with a stack of C++.
            initialization_timeout=2 * JOINING_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=HEARTBEAT_SECONDS,
        )  # fmt: skip
    except (RuntimeError, ValueError) as error:
        failures.append(error)


def whole(value: Any) -> np.ndarray:
    """Returns a backend's tensor as an array, whose parts lie on other processes too, if on any.

    All processes have to call it alike.
    """
    if current() is not None and not (value.is_fully_addressable or value.is_fully_replicated):
        return np.asarray(multihost_utils.process_allgather(value, tiled=True))
    return keras.ops.convert_to_numpy(value)
