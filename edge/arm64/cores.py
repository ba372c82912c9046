"""ARM64 cores: how QEMU emulates each, and by what LiteRT recognizes it."""

import dataclasses

from keras_transformer.zoo.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Core:
    """A core of a phone or a small board.

    LiteRT takes what kernels it can by the instructions that the core has, and among them by the
    core's number, see "Arm Architecture Reference Manual", MIDR_EL1.

    Attributes:
        name: name on the command line.
        emulated: what QEMU 7.2's `-cpu` calls one with the same instructions.
        part: part number, Arm's own being 0x41.
        has: what instructions multiply int8: none, dotprod (SDOT), or i8mm (SMMLA as well).
    """

    name: str
    emulated: str
    part: int
    has: str

    @property
    def cpuinfo(self) -> str:
        """/proc/cpuinfo of a machine with one such core."""
        values = {
            "processor": 0,
            "CPU implementer": "0x41",
            "CPU architecture": 8,
            "CPU variant": "0x1",
            "CPU part": f"0x{self.part:03x}",
            "CPU revision": 0,
        }
        return "".join(f"{name}\t: {value}\n" for name, value in values.items())


CORES = {
    core.name: core
    for core in (
        Core(name="cortex-a53", emulated="cortex-a53", part=0xD03, has="none"),
        # QEMU 7.2 has none of its own; the A76 has the same instructions.
        Core(name="cortex-a55", emulated="cortex-a76", part=0xD05, has="dotprod"),
        Core(name="cortex-a76", emulated="cortex-a76", part=0xD0B, has="dotprod"),
        # An A715 has SVE2, for which LiteRT 2.3 has no int8 kernels; QEMU 7.2's SME is wrong.
        Core(name="cortex-a715", emulated="max,sve=off,sme=off", part=0xD4D, has="i8mm"),
    )
}


def get_core(name: str) -> Core:
    """Returns the core of that name.

    Raises:
        InputError: if the name is unknown; the message lists the known ones.
    """
    if name not in CORES:
        raise InputError(f"Expected core to be one of {', '.join(CORES)}, got {name!r}.")
    return CORES[name]
