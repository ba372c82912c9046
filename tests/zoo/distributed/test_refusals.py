"""What a distributed run refuses before it begins, in one process on JAX."""

import json
import os
import subprocess
import sys

PROGRAM = """
import json, os, sys
from keras_transformer.zoo.distributed import devices
from keras_transformer.zoo.errors import InputError, RunError

said = []
if sys.argv[1:]:
    devices.JOINING_SECONDS = 2
    try:
        devices.distributed("data", coordinator="127.0.0.1:1", processes=2, process=1).__enter__()
    except RunError as error:
        print(json.dumps(str(error)), flush=True)
    os._exit(0)
for kind, *joining in (
    ("rows",), ("",), ("data,",), ("model:3",), ("model:4",), ("data,model:3",),
    ("data", "10.0.0.1", 2, 0), ("data", "10.0.0.1:99", 2, 2), ("data", "10.0.0.1:99", 2, None),
):
    names = ("coordinator", "processes", "process")
    try:
        with devices.distributed(kind, **dict(zip(names, joining))) as found:
            said.append([found.replicas, found.processes, found.rows_multiple()])
    except InputError as error:
        said.append(str(error))
with devices.distributed("data") as found:
    try:
        found.check_run(6, "recipe", "data")
    except InputError as error:
        said.append(str(error))
os.environ["SLURM_STEP_NODELIST"] = "node[1-2]"
try:
    devices.distributed("data").__enter__()
except InputError as error:
    said.append(str(error))
print(json.dumps(said))
"""


def said_of(*arguments):
    environment = {
        **os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
    }  # fmt: skip
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_what_does_not_fit_is_refused():
    kinds = "Expected distribute to be data, fsdp, model:N or data,model:N, got distribute="
    assert said_of() == [
        f"{kinds}'rows'.",
        f"{kinds}''.",
        f"{kinds}'data,'.",
        "Expected model:N of distribute to be the number of devices, 4, got distribute='model:3'.",
        [1, 1, 8],
        "Expected model:N of distribute to divide the number of devices, 4, got "
        "distribute='data,model:3'.",
        "Expected coordinator to be HOST:PORT, got coordinator='10.0.0.1'.",
        "Expected process to be from 0 to below processes=2, got process=2.",
        "Expected coordinator, processes and process together, got no process.",
        "Expected rows_multiple to be a multiple of the 4 replicas, which share the rows of a "
        "batch, got rows_multiple=6.",
        "Expected distribute before anything is computed on JAX, got a process that has already "
        "computed; start it first.",
    ]


def test_a_coordinator_that_does_not_answer_is_named():
    said = said_of("wait")
    assert said.startswith("The 2 processes did not meet at 127.0.0.1:1 within 2 s; start")
