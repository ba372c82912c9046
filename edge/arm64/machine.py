"""An ARM64 Python with NumPy and LiteRT, made from packages once and run by QEMU.

Debian's packages are unpacked into a folder, without being installed: QEMU's user mode runs the
Python in it as a process of this machine, which sees this machine's files.
"""

import dataclasses
import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_transformer.edge.arm64.cores import CORES, Core
from keras_transformer.zoo.errors import InputError, RunError
from keras_transformer.zoo.storage.caches import cache_home
from keras_transformer.zoo.storage.files import new_folder
from keras_transformer.zoo.storage.locks import alone_in

QEMU = "qemu-aarch64"
# Debian's release that has a version of Python: 12 and 13.
RELEASES = {"3.11": "bookworm", "3.13": "trixie"}
PYTHON = "3.11"
_PACKAGES = "python3,libstdc++6"
# The wheels' own names of the oldest glibc; LiteRT's needs 2.34, whatever its name says.
_PLATFORMS = tuple(f"manylinux{glibc}_aarch64" for glibc in ("_2_28", "_2_27", "2014"))
_INSTALL = "on Debian 12, apt-get install qemu-user mmdebstrap gcc"
_LONGEST = 300


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """An emulated machine.

    Attributes:
        folder: the folder that it was made in.
        python: version of its Python, see `RELEASES`.
    """

    folder: Path
    python: str = PYTHON

    def command(
        self, core: Core, words: Sequence[str], *, options: Sequence[str] = ()
    ) -> list[str]:
        """Returns the command that runs a program on the machine.

        Args:
            core: the core.
            words: path of the program here, and its arguments.
            options: options of QEMU.
        """
        return [QEMU, "-cpu", core.emulated, "-L", str(self._root(core)), *options, *words]

    def _root(self, core: Core) -> Path:
        return self.folder / "cores" / core.name

    def environment(self, path: Sequence[Path] = ()) -> dict[str, str]:
        """Returns the environment of that command.

        Args:
            path: where Python finds more packages.
        """
        folders = [*path, self.folder / "site"]
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            # Sets of names are gone through in the same order in each run.
            "PYTHONHASHSEED": "0",
        }

    def run(
        self, core: Core, arguments: Sequence[str], *, options: Sequence[str] = (),
        path: Sequence[Path] = (), folder: Path | None = None,
    ) -> str:  # fmt: skip
        """Runs Python there with arguments, and returns what it printed.

        Args:
            core, options: see `command`.
            arguments: arguments of Python.
            path: see `environment`.
            folder: folder in which it is run; None for this process' own.

        Raises:
            RunError: if it fails.
        """
        python = str(self._root(core) / "usr/bin" / f"python{self.python}")
        done = subprocess.run(
            self.command(core, [python, *arguments], options=options), env=self.environment(path),
            cwd=folder, capture_output=True, text=True, errors="replace",
        )  # fmt: skip
        if done.returncode:
            raise RunError(f"Python on an emulated {core.name} failed: {_reason(done)}")
        return done.stdout


def check_tools(*names: str) -> None:
    """Checks that programs are installed.

    Raises:
        InputError: if one is not.
    """
    for name in names:
        if shutil.which(name) is None:
            raise InputError(
                f"Expected {', '.join(names)} for --arm64, {name} is not installed; {_INSTALL}."
            )


def qemu_version() -> str:
    """Returns the version of QEMU, such as 7.2.22.

    Raises:
        RunError: if it does not say so.
    """
    done = subprocess.run([QEMU, "--version"], capture_output=True, text=True)
    found = re.search(r"version (\d+(\.\d+)+)", done.stdout)
    if found is None:
        raise RunError(f"{QEMU} --version failed: {_reason(done)}")
    return found[1]


def versions(python: str = PYTHON) -> dict[str, str]:
    """Returns the versions of Python, LiteRT and NumPy on the machine: those of here but Python."""
    names = {"litert": "ai-edge-litert", "numpy": "numpy"}
    found = {short: importlib.metadata.version(name) for short, name in names.items()}
    return {"python": python, **found}


def cache_folder(python: str = PYTHON) -> Path:
    """Returns the folder in which the machine of these versions is kept."""
    name = "-".join(f"{short}{version}" for short, version in versions(python).items())
    # A machine of other cores is another machine.
    cores = hashlib.sha256(repr(CORES).encode()).hexdigest()[:8]
    return cache_home() / "keras-transformer" / "arm64" / f"{name}-{cores}"


def find_machine(note: Callable[[str], None], python: str = PYTHON) -> Machine:
    """Returns the emulated machine of the cache, which is made first where it is not there.

    Args:
        note: receives a message of what is fetched, and where it goes.
        python: version of its Python.

    Raises:
        InputError: if a program is not installed.
        RunError: if the packages cannot be fetched, or do not run.
    """
    folder = cache_folder(python)
    folder.mkdir(parents=True, exist_ok=True)
    machine = Machine(folder=folder / "machine", python=python)
    # Another process may be making it.
    with alone_in(folder):
        if not machine.folder.exists():
            check_tools(QEMU, "mmdebstrap")
            note(
                f"Fetching Debian's Python {python}, NumPy and LiteRT for ARM64 into {folder} "
                "(180 MB); this happens once."
            )
            with new_folder(machine.folder) as partial:
                _make(dataclasses.replace(machine, folder=partial))
    return machine


def _make(machine: Machine) -> None:
    root, site = machine.folder / "root", machine.folder / "site"
    _fetched("Debian's packages", [
        "mmdebstrap", "--quiet", "--variant=extract", "--skip=check/qemu", "--arch=arm64",
        f"--include={_PACKAGES}", RELEASES[machine.python], str(root),
    ])  # fmt: skip
    if not (root / "lib").exists():
        # In trixie a script makes it when packages are installed.
        (root / "lib").symlink_to("usr/lib")
    wanted = versions()
    platforms = [word for platform in _PLATFORMS for word in ("--platform", platform)]
    _fetched("the wheels of LiteRT and NumPy", [
        sys.executable, "-P", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--target", str(site), "--only-binary", ":all:", "--no-deps", "--no-compile",
        "--implementation", "cp", "--python-version", machine.python, *platforms,
        f"ai-edge-litert=={wanted['litert']}", f"numpy=={wanted['numpy']}",
    ])  # fmt: skip
    for core in CORES.values():
        _make_core(machine.folder, core)
    # Its modules are byte-compiled by this, and load in a third of the time afterwards.
    machine.run(CORES["cortex-a76"], ["-P", "-c", "import ai_edge_litert.interpreter"])


def _make_core(folder: Path, core: Core) -> None:
    """Else QEMU 7.2 shows this machine's processor to LiteRT, which then crashes."""
    root = folder / "cores" / core.name
    root.mkdir(parents=True)
    for path in (folder / "root").iterdir():
        if path.name not in ("proc", "sys", "tmp", "dev"):
            (root / path.name).symlink_to(Path("../../root") / path.name)
    (root / "proc").mkdir()
    (root / "proc/cpuinfo").write_text(core.cpuinfo)
    processors = root / "sys/devices/system/cpu"
    processors.mkdir(parents=True)
    for name in ("possible", "present"):
        (processors / name).write_text("0\n")


def _fetched(what: str, command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise RunError(f"{Path(command[0]).name} could not fetch {what}: {_reason(done)}")


def _reason(done: subprocess.CompletedProcess) -> str:
    """The last line of what a program said before it failed."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1][:_LONGEST] if lines else f"exit code {done.returncode}"
