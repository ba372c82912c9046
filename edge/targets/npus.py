"""Arm's Ethos-U NPUs: the configurations that a file can be compiled for, by target name."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Npu:
    """A configuration of an NPU and, if the user names none, of the system around it.

    Attributes:
        accelerator: name of the configuration for the compiler; its number is that of the 8-bit
            multiply-adds of a cycle.
        system: section of the compiler's configuration file with clocks and bandwidths.
        memory: section with the memories of constants, of the arena and of the fast cache.
        looks_up: whether it has a GATHER, and the comparisons that make a mask of ids.
    """

    accelerator: str
    system: str
    memory: str
    looks_up: bool = False


def _u55(macs: int) -> Npu:
    system = "Ethos_U55_High_End_Embedded"
    return Npu(accelerator=f"ethos-u55-{macs}", system=system, memory="Shared_Sram")


def _u65(macs: int) -> Npu:
    system = "Ethos_U65_Client_Server"
    return Npu(accelerator=f"ethos-u65-{macs}", system=system, memory="Dedicated_Sram_384KB")


def _u85(macs: int) -> Npu:
    return Npu(
        accelerator=f"ethos-u85-{macs}", system="Ethos_U85_SYS_DRAM_Mid",
        memory="Dedicated_Sram_384KB", looks_up=True,
    )  # fmt: skip


NPUS = {
    **{f"ethos-u55-{macs}": _u55(macs) for macs in (32, 64, 128, 256)},
    # Without a number: the one that is sold in chips, NXP's i.MX 93.
    "ethos-u65": _u65(256),
    "ethos-u65-512": _u65(512),
    **{f"ethos-u85-{macs}": _u85(macs) for macs in (128, 256, 512, 1024, 2048)},
}
