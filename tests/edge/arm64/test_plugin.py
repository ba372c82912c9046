"""The plugin counts each instruction of a program written for it, in its class."""

import shutil
import subprocess

import pytest

from keras_transformer.edge.arm64 import plugin
from keras_transformer.edge.arm64.machine import QEMU
from keras_transformer.zoo.errors import InputError, RunError

GCC = "aarch64-linux-gnu-gcc"
MARK = "mov x8, #173\nsvc #0\n"
EXIT = "mov x8, #93\nmov x0, #0\nsvc #0\n"
INSTRUCTIONS = {
    "fmla": """
        fmla v0.4s, v1.4s, v2.4s
        fmls v0.2d, v1.2d, v2.2d
        fmla v0.4s, v1.4s, v2.s[3]
        fmls v0.4s, v1.4s, v2.s[1]
        fmla v0.8h, v1.8h, v2.8h
        fmla v0.8h, v1.8h, v2.h[7]
        fmadd s0, s1, s2, s3
        fnmsub d0, d1, d2, d3
    """,
    "sdot": """
        sdot v0.4s, v1.16b, v2.16b
        sdot v0.4s, v1.16b, v2.4b[3]
        udot v0.2s, v1.8b, v2.8b
        udot v0.4s, v1.16b, v2.4b[0]
        usdot v0.4s, v1.16b, v2.16b
        sudot v0.4s, v1.16b, v2.4b[1]
    """,
    "smmla": """
        smmla v0.4s, v1.16b, v2.16b
        ummla v0.4s, v1.16b, v2.16b
        usmmla v0.4s, v1.16b, v2.16b
    """,
    "smlal": """
        smlal v0.8h, v1.8b, v2.8b
        umlal2 v0.4s, v1.8h, v2.8h
        smlal v0.4s, v1.4h, v2.h[5]
        smull v0.8h, v1.8b, v2.8b
        smull2 v0.4s, v1.8h, v2.h[0]
        mla v0.4s, v1.4s, v2.4s
        mla v0.8h, v1.8h, v2.h[2]
        sadalp v0.4s, v1.8h
        saddlp v0.8h, v1.16b
    """,
    "other_vector": """
        fadd v0.4s, v1.4s, v2.4s
        fmul v0.4s, v1.4s, v2.4s
        fmax s0, s1, s2
        fcvtns v0.4s, v1.4s
        scvtf v0.4s, v1.4s
        sqrdmulh v0.4s, v1.4s, v2.4s
        srshl v0.4s, v1.4s, v2.4s
        sqxtn v0.4h, v1.4s
        tbl v0.16b, {v1.16b}, v2.16b
        dup v0.4s, w9
        movi v0.16b, #1
        ext v0.16b, v1.16b, v2.16b, #4
        fmov w9, s0
    """,
    "load": """
        ldr x9, [sp]
        ldrb w9, [sp, #1]
        ldrsw x9, [sp, #4]
        ldur x9, [sp, #3]
        ldr q0, [sp]
        ldr s0, [sp, #4]
        ldr b0, [sp, #4]
        ldp x9, x10, [sp]
        ldp q0, q1, [sp]
        ldpsw x9, x10, [sp]
        ld1 {v0.16b}, [x11]
        ld1 {v0.16b, v1.16b}, [x11], #32
        ld1 {v0.s}[1], [x12]
        ld1r {v0.4s}, [x12]
        ldxr x9, [x12]
        ldar w9, [x12]
        ldr x9, 1f
        1:
    """,
    "store": """
        str x9, [sp]
        strb w9, [sp, #1]
        sturh w9, [sp, #3]
        str q0, [sp]
        str d0, [sp, #8]
        stp x9, x10, [sp]
        stp q0, q1, [sp]
        st1 {v0.16b}, [x13]
        st1 {v0.16b, v1.16b}, [x13], #32
        st1 {v0.s}[1], [x12]
        stxr w9, x10, [x12]
        stlr w9, [x12]
    """,
    "branch": """
        b 1f
        1: cbz xzr, 2f
        2: tbnz wzr, #0, 3f
        3: b.al 4f
        4: bl 5f
        5: adr x14, 6f
        br x14
        6: nop
    """,
    "other": """
        add x9, x10, #1
        madd x9, x10, x10, x10
        lsl x9, x10, #3
        cmp x9, #4
        csel x9, x10, x10, eq
        mov x9, #5
    """,
}


@pytest.fixture(scope="module")
def count(tmp_path_factory):
    """A function that counts the instructions of an assembler's source between two marks."""
    for tool in (QEMU, "gcc", GCC):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    try:
        plugin.check_plugins()
    except InputError as error:
        pytest.skip(str(error))
    # A comma is between options of QEMU, and a name is before `=`.
    folder = tmp_path_factory.mktemp("a=b,c d")
    compiled = plugin.compile_plugin(folder)

    def counted(source, runs=1):
        path, out = folder / "program", folder / "counts"
        start = "sub sp, sp, #512\nmov x11, sp\nadd x12, sp, #128\nadd x13, sp, #256\n"
        text = f".text\n.global _start\n_start:\n{start}{source}{EXIT}"
        path.with_suffix(".s").write_text(text)
        command = [GCC, "-march=armv8.6-a+fp16", "-nostdlib", "-static"]
        subprocess.run([*command, path.with_suffix(".s"), "-o", path], check=True)
        out.write_text("")
        command = [QEMU, "-cpu", "max", *plugin.options(compiled, out), str(path)]
        subprocess.run(command, check=True)
        totals = []
        for blocks in plugin.read_counts(out, runs):
            totals.append({name: sum(one.classes[name] for one in blocks)
                           for name in plugin.CLASSES})  # fmt: skip
        return totals

    return counted


def only(**counts):
    # The second mark itself: the number of the call, and the call, a branch to the system.
    found = dict.fromkeys(plugin.CLASSES, 0) | {"other": 1, "branch": 1}
    for name, value in counts.items():
        found[name] += value
    return found


def test_each_instruction_is_in_its_class(count):
    assert set(INSTRUCTIONS) == set(plugin.CLASSES)
    for name, source in INSTRUCTIONS.items():
        lines = [line.strip() for line in source.splitlines() if line.strip()]
        number = sum(not line.endswith(":") for line in lines)
        # The address of a branch's target is computed beside it.
        beside = {"branch": {"branch": number - 1, "other": 1}}.get(name, {name: number})
        assert count(f"{MARK}{source}{MARK}") == [only(**beside)], name


def test_what_is_run_often_is_counted_often(count):
    loop = "mov x9, #1000\n1: fadd v0.4s, v0.4s, v1.4s\nsubs x9, x9, #1\nb.ne 1b\n"
    found = count(f"{MARK}{loop}{MARK}nop\n{MARK}{loop}{loop}{MARK}", runs=2)
    assert found == [
        only(other_vector=1000, other=1 + 1000, branch=1000),
        only(other_vector=2000, other=2 + 2000, branch=2000),
    ]


def test_marks_that_are_missing(count):
    with pytest.raises(RunError) as caught:
        count(MARK)
    assert str(caught.value) == "The plugin of QEMU wrote 0 counts of 1 runs."


def test_a_qemu_without_plugins(tmp_path, monkeypatch):
    fake = tmp_path / QEMU
    fake.write_text('#!/bin/sh\n[ "$1" = -h ] || echo "qemu-aarch64 version 10.0.2"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(InputError, match=r"got QEMU 10\.0\.2 without them"):
        plugin.check_plugins()


def test_a_gcc_that_fails(tmp_path, monkeypatch):
    fake = tmp_path / "gcc"
    fake.write_text('#!/bin/sh\necho "no room" >&2\nexit 1\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(RunError) as caught:
        plugin.compile_plugin(tmp_path)
    assert str(caught.value) == "gcc could not compile count.c: no room"
