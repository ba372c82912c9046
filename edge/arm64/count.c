/* A plugin of QEMU 7 that counts the instructions of the guest between two marks, by class.
 *
 *   qemu-aarch64 -plugin count.so,out=FILE ...
 *
 * A guest marks a place with the system call getppid, whose number on ARM64 is 173: the first call
 * sets the counters to zero, the second appends to FILE, and so on in turns. What it appends is a
 * line for each block of instructions that was run, its address in hexadecimal, how often it was
 * run, and how many instructions of each class it has; then an empty line. The counters belong to
 * all of the guest's threads; it should have one.
 *
 * A system call ends its block: the count is of what follows the first mark, the second included.
 *
 * The declarations are those of QEMU's plugin interface, version 1: Debian has no package of its
 * header.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_tb_trans_cb(
    qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(
    struct qemu_plugin_tb *, enum qemu_plugin_op, void *, uint64_t);
void qemu_plugin_register_vcpu_syscall_cb(
    qemu_plugin_id_t,
    void (*)(qemu_plugin_id_t, unsigned int, int64_t, uint64_t, uint64_t, uint64_t, uint64_t,
             uint64_t, uint64_t, uint64_t, uint64_t));

EXPORTED int qemu_plugin_version = 1;

enum { GETPPID = 173 };
enum { FMLA, SDOT, SMMLA, SMLAL, VECTOR, LOADS, STORES, BRANCHES, INTEGER, CLASSES };

/* A block, once more each time that QEMU translates it. */
struct block {
    struct block *next;
    uint64_t address, runs;
    unsigned classes[CLASSES];
};

static struct block *blocks;
static bool counting;
static char path[4096];

struct encoding {
    uint32_t mask, value;
    int class;
};

/* "Arm Architecture Reference Manual for A-profile", C4.1: the first that fits is taken. */
static const struct encoding encodings[] = {
    {0xbfa0fc00, 0x0e20cc00, FMLA}, {0xbfa0fc00, 0x0ea0cc00, FMLA},   /* FMLA, FMLS (vector) */
    {0xbf80f400, 0x0f801000, FMLA}, {0xbf80f400, 0x0f805000, FMLA},   /* (by element) */
    {0xbfe0fc00, 0x0e400c00, FMLA}, {0xbfc0f400, 0x0f001000, FMLA},   /* of half precision */
    {0xff000000, 0x1f000000, FMLA},                                   /* FMADD and others */
    {0x9fe0fc00, 0x0e809400, SDOT}, {0x9fc0f400, 0x0f80e000, SDOT},   /* SDOT, UDOT */
    {0xbfe0fc00, 0x0e809c00, SDOT}, {0xbfc0f400, 0x0f80f000, SDOT},   /* USDOT */
    {0xbfc0f400, 0x0f00f000, SDOT},                                   /* SUDOT */
    {0xdfe0fc00, 0x4e80a400, SMMLA}, {0xffe0fc00, 0x4e80ac00, SMMLA}, /* SMMLA, UMMLA, USMMLA */
    {0x9f20fc00, 0x0e208000, SMLAL}, {0x9f20fc00, 0x0e20c000, SMLAL}, /* SMLAL, SMULL */
    {0x9f00f400, 0x0f002000, SMLAL}, {0x9f00f400, 0x0f00a000, SMLAL}, /* (by element) */
    {0xbf20fc00, 0x0e209400, SMLAL}, {0xbf00f400, 0x2f000000, SMLAL}, /* MLA */
    {0x9f3ffc00, 0x0e206800, SMLAL}, {0x9f3ffc00, 0x0e202800, SMLAL}, /* SADALP, SADDLP */
    {0x3b000000, 0x18000000, LOADS},                                  /* of literals */
    {0x3a400000, 0x28400000, LOADS}, {0x3a400000, 0x28000000, STORES}, /* of pairs */
    {0x3e400000, 0x0c400000, LOADS}, {0x3e400000, 0x0c000000, STORES}, /* of vectors */
    {0x3f400000, 0x08400000, LOADS}, {0x3f400000, 0x08000000, STORES}, /* exclusive */
    {0x3e400000, 0x3c400000, LOADS}, {0x3e400000, 0x3c000000, STORES}, /* of one register, SIMD */
    {0x3ac00000, 0x38000000, STORES}, {0x3a000000, 0x38000000, LOADS},
    {0x1c000000, 0x14000000, BRANCHES},
    {0x0e000000, 0x0e000000, VECTOR},
};

static int class_of(uint32_t instruction)
{
    for (size_t i = 0; i < sizeof(encodings) / sizeof(*encodings); ++i) {
        if ((instruction & encodings[i].mask) == encodings[i].value) return encodings[i].class;
    }
    return INTEGER;
}

/* QEMU translates one block at a time. */
static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *translation)
{
    struct block *block = calloc(1, sizeof(*block));
    (void)id;
    if (!block) abort();
    block->address = qemu_plugin_tb_vaddr(translation);
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(translation); ++i) {
        uint32_t instruction;
        memcpy(&instruction, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(translation, i)), 4);
        ++block->classes[class_of(instruction)];
    }
    block->next = blocks;
    blocks = block;
    qemu_plugin_register_vcpu_tb_exec_inline(
        translation, QEMU_PLUGIN_INLINE_ADD_U64, &block->runs, 1);
}

static void written(void)
{
    FILE *out = fopen(path, "a");
    if (!out) abort();
    for (struct block *block = blocks; block; block = block->next) {
        if (!block->runs) continue;
        fprintf(out, "%llx %llu", (unsigned long long)block->address,
                (unsigned long long)block->runs);
        for (int class = 0; class < CLASSES; ++class) fprintf(out, " %u", block->classes[class]);
        fputc('\n', out);
    }
    fputc('\n', out);
    if (fclose(out)) abort();
}

static void called(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t a, uint64_t b,
                   uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h)
{
    (void)id, (void)vcpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number != GETPPID) return;
    if (counting) written();
    counting = !counting;
    for (struct block *block = blocks; block; block = block->next) block->runs = 0;
}

EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                                 char **argv)
{
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) || strlen(argv[0]) - 4 >= sizeof(path)) {
        fprintf(stderr, "count: expected out=FILE\n");
        return -1;
    }
    strcpy(path, argv[0] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
