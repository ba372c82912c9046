"""Whether the parts of a file fit together: its description, labels, vocabulary and signatures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from keras_transformer.edge.runtime.checks.graph import Model, Tensor
from keras_transformer.edge.runtime.names import (
    DECODE,
    EMBEDDING,
    ENCODE,
    LOGITS,
    MEMORY_MASK,
    PREDICT,
    PREFILL,
    PROBABILITIES,
    TEXTS,
    cache_names,
    memory_names,
    signature_name,
    vector_width,
)
from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.modalities.modality import InputSpec, Modality
from keras_transformer.zoo.modalities.speech import Speech
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.outputs import (
    ANSWERS,
    BY_HEAD,
    BY_POSITION,
    MASKS,
    OUTPUTS,
    decision_of,
)
from keras_transformer.zoo.outputs import EMBEDDING as VECTORS

_OUTPUTS = (LOGITS, PROBABILITIES, EMBEDDING)
_TYPES = {"int32": "INT32", "float32": "FLOAT32", "uint8": "UINT8", "int8": "INT8"}
# Ops that leave ids what they are, and those that look them up, by the schema's numbers.
_KEEP_IDS = (18, 22, 43, 53, 70)  # MUL, RESHAPE, SQUEEZE, CAST, EXPAND_DIMS
_LOOK_UP = {36: (0, 1), 7: (1, 0)}  # GATHER, EMBEDDING_LOOKUP: the places of table and ids
# A type and a shape, None where any size will do.
Wanted = tuple[str, tuple[int | None, ...]]


def misfits(
    description: Mapping[str, Any], labels: Sequence[str], modality: Modality, model: Model
) -> Iterator[str]:
    """Yields what does not fit together in a file, in sentences.

    Args:
        description: that was checked, see `check_description`.
        labels: of the file.
        modality: of what it reads.
        model: its graphs, which were checked.
    """
    config = {"source_vocab_size": 0, **description["model"]}
    if reason := modality.misfit(config):
        yield reason
    lengths = description.get("lengths", [description["max_length"]])
    kind = description.get("output_kind")
    generates = PREDICT not in model.signatures
    known = ("text",) if generates else (*OUTPUTS, BY_HEAD)
    if kind is not None and kind not in known:
        yield f"Expected output_kind to be one of {', '.join(known)}, got output_kind={kind!r}."
    if generates:
        yield from _generating(description, lengths, modality, model)
    elif kind == BY_HEAD:
        yield from _by_head(description, lengths, modality, model)
    else:
        yield from _predicting(description, lengths, labels, modality, model)
    text = modality if isinstance(modality, Speech) else modality.text
    if text is not None:
        ids = text.tokenizer.vocab_size + (len(labels) if generates else 0)
        rows = min(_table_rows(model), default=ids)
        if rows < ids:
            yield f"Expected at most the {rows} ids of its table, got {ids}."


def _predicting(
    description: Mapping[str, Any], lengths: Sequence[int], labels: Sequence[str],
    modality: Modality, model: Model,
) -> Iterator[str]:  # fmt: skip
    gives = description.get("output", LOGITS)
    if gives not in _OUTPUTS:
        yield f"Expected output to be one of {', '.join(_OUTPUTS)}, got output={gives!r}."
        return
    specs = {spec.name: spec for spec in modality.inputs(pair=description["task"]["pair"])}
    beside = modality.beside({name: spec.pad([], 1) for name, spec in specs.items()})
    embeds = description.get("output_kind") == VECTORS
    width = None if gives == EMBEDDING else max(1, len(labels))
    kind = description.get("output_kind")
    if kind in BY_POSITION and (gives != LOGITS or not isinstance(modality, Text)):
        yield f"Expected logits of texts where output_kind={kind!r}, got output={gives!r}."
        return
    if kind == ANSWERS:
        width = 2
    if kind == MASKS:
        width = description["model"].get("vocab_size")
    if embeds:
        width = vector_width(description)
    names = set(model.signatures[PREDICT].inputs)
    reads_texts = names == {TEXTS}
    for length in lengths[-1:] if reads_texts else lengths:
        signature = signature_name(PREDICT, length, lengths)
        if signature not in model.signatures:
            yield _no_signature(signature, model)
            return
        found = model.signatures[signature].inputs
        if set(found) != names or not (reads_texts or names <= set(specs) | set(beside)):
            wanted = ", ".join(sorted({*specs, *beside}))
            yield f"Expected {signature} to read {wanted}, got {', '.join(found) or 'nothing'}."
            return
        positions = (length,) if kind in BY_POSITION else ()
        ends: dict[str, Wanted] = {gives: ("FLOAT32", (1, *positions, None))}
        if reads_texts:
            ends.update({TEXTS: ("STRING", (1,)), "ids": ("INT32", (1, None))})
        for name in () if reads_texts else names:
            ends[name] = _wanted(specs.get(name) or modality.spec_beside(name), length)
        yield from _wrong(model, signature, ends)
        out = model.tensor(signature, gives)
        if out is not None and width is not None and out.shape[-1:] != (width,):
            size = out.shape[-1] if out.shape else 0
            if kind == MASKS:
                yield f"Expected logits of the model's vocab_size={width}, got {size} outputs."
            elif embeds:
                of = "projection" if "projection" in description["task"] else "hidden_dim"
                yield f"Expected vectors of the model's {of}={width}, got {size} outputs."
            else:
                yield f"Expected as many labels as the {size} outputs, got {len(labels)}."


def _wanted(spec: InputSpec, length: int) -> Wanted:
    return _TYPES.get(spec.dtype, spec.dtype), spec.size(1, length)


def _by_head(
    description: Mapping[str, Any], lengths: Sequence[int], modality: Modality, model: Model
) -> Iterator[str]:
    """What does not fit in a file of several heads, each of which is read as a file of its own."""
    heads = description.get("heads") or {}
    if not heads:
        yield f"Expected heads where output_kind={BY_HEAD!r}, got none."
    for name, head in heads.items():
        own = {
            signature_name(PREDICT, length, lengths): signature_name(name, length, lengths)
            for length in lengths
        }
        missing = [one for one in own.values() if one not in model.signatures]
        if missing:
            yield _no_signature(missing[0], model)
            continue
        signatures = {one: model.signatures[theirs] for one, theirs in own.items()}
        labels = head["labels"]
        try:
            decision_of(head["output_kind"], head["task"], labels)
            own_modality = modality.of_kind(head["task"].get("modality", "text"))
        except InputError as error:
            yield f"{name}: {error}"
            continue
        whole = {**description, **head}
        for reason in _predicting(
            whole, lengths, labels, own_modality, model._replace(signatures=signatures)
        ):
            yield f"{name}: {reason}"
    specs = {spec.name: spec for spec in modality.inputs(pair=description["task"]["pair"])}
    for length in lengths:
        signature = signature_name(PREDICT, length, lengths)
        if signature not in model.signatures:
            yield _no_signature(signature, model)
            continue
        found = model.signatures[signature]
        if set(found.outputs) != set(heads) or set(found.inputs) != set(specs):
            yield (
                f"Expected {signature} to read {', '.join(sorted(specs))} and to give "
                f"{', '.join(sorted(heads))}, got {', '.join(sorted(found.inputs))} and "
                f"{', '.join(sorted(found.outputs))}."
            )
            continue
        ends: dict[str, Wanted] = {name: _wanted(spec, length) for name, spec in specs.items()}
        for name, head in heads.items():
            positions = (length,) if head["output_kind"] in BY_POSITION else ()
            ends[name] = ("FLOAT32", (1, *positions, None))
        yield from _wrong(model, signature, ends)


def _generating(
    description: Mapping[str, Any], lengths: Sequence[int], modality: Modality, model: Model
) -> Iterator[str]:
    if not isinstance(modality, Text | Speech):
        yield f"Expected a signature {PREDICT} of a model of {modality.rows}, got none."
        return
    config, longest = description["model"], lengths[-1]
    writer, sources = modality.tokenizer, None
    if isinstance(modality, Text):
        writer = modality.target_tokenizer or writer
    else:
        [sources] = modality.inputs()
    if writer.vocab_size > config["vocab_size"]:
        yield (
            f"Expected a vocabulary of at most the {config['vocab_size']} ids that it writes, got "
            f"{writer.vocab_size} pieces."
        )
    blocks = config["num_layers"]
    # Each block has tensors of its own; a number that is too large is not counted through.
    if DECODE not in model.signatures or blocks > len(model.signatures[DECODE].inputs):
        yield f"Expected a signature decode of {blocks} blocks, got {_named(model)}."
        return
    has_memory = ENCODE in model.signatures
    if model.signatures[DECODE].graph != 0 or has_memory != (
        config["architecture"] == "encoder-decoder"
    ):
        yield f"Expected the signatures of an {config['architecture']}, got {_named(model)}."
        return
    caches: dict[str, Wanted] = {
        name: ("FLOAT32", (1, longest, None, None)) for name in cache_names(blocks)
    }
    position: dict[str, Wanted] = {"position": ("INT32", (1,))}
    places = longest if sources is None else sources.positions
    memory: dict[str, Wanted] = dict.fromkeys(
        memory_names(blocks), ("FLOAT32", (1, places, None, None))
    )
    mask: dict[str, Wanted] = {MEMORY_MASK: ("INT32", (1, longest))} if sources is None else {}
    step: dict[str, Wanted] = {
        "ids": ("INT32", (1, 1)), "logits": ("FLOAT32", (1, config["vocab_size"])),
        **position, **caches, **(memory | mask if has_memory else {}),
    }  # fmt: skip
    yield from _wrong(model, DECODE, step)
    if sources is not None:
        read: dict[str, Wanted] = {sources.name: ("FLOAT32", sources.size(1, None))}
        yield from _wrong(model, ENCODE, read | memory)
    for length in lengths if sources is None else ():
        ids: dict[str, Wanted] = {"ids": ("INT32", (1, length))}
        if has_memory:
            short = dict.fromkeys(memory, ("FLOAT32", (1, length, None, None)))
            yield from _wrong(model, signature_name(ENCODE, length, lengths), ids | short)
        else:
            name = signature_name(PREFILL, length, lengths)
            yield from _wrong(model, name, ids | position | caches)
    yield from _other_sizes(model, [*caches, *(memory if has_memory else ())])


def _wrong(model: Model, signature: str, wanted: Mapping[str, Wanted]) -> Iterator[str]:
    """What a signature reads and gives in another type or shape, or more than is known."""
    if signature not in model.signatures:
        yield _no_signature(signature, model)
        return
    found = model.signatures[signature]
    others = sorted(set(found.inputs) - set(wanted))
    if others:
        yield f"Expected {signature} to read {', '.join(sorted(wanted))}, got {others[0]!r}."
    for end, (type_name, shape) in wanted.items():
        for places in (found.inputs, found.outputs):
            if end not in places:
                continue
            tensor = model.graphs[found.graph].tensors[places[end]]
            if tensor.type != type_name or not _has_shape(tensor, shape):
                yield (
                    f"Expected {end} of {signature} to be {type_name} {_sizes(shape)}, got "
                    f"{tensor.type} {_sizes(tensor.signature)}."
                )
        if end not in found.inputs and end not in found.outputs:
            yield f"Expected {signature} to have {end}, got none."


def _other_sizes(model: Model, names: Sequence[str]) -> Iterator[str]:
    """Caches and memory whose heads differ from one signature to another."""
    for name in names:
        shapes = set()
        for signature in model.signatures.values():
            graph = model.graphs[signature.graph]
            for places in (signature.inputs, signature.outputs):
                if name in places:
                    shapes.add(graph.tensors[places[name]].shape[2:])
        if len(shapes) > 1:
            yield f"Expected {name} to be of one shape in all signatures, got {sorted(shapes)}."
    for signature in model.signatures.values():
        missing = [n for n in names if n in signature.inputs and n not in signature.outputs]
        if missing and missing[0].startswith("kv_cache"):
            yield f"Expected each signature to give {missing[0]} that it reads, got none."


def _has_shape(tensor: Tensor, shape: Sequence[int | None]) -> bool:
    if len(tensor.shape) != len(shape):
        return False
    pairs = zip(tensor.signature, shape, strict=True)
    # What is -1 is as large as the caller's.
    return all(size in (one, -1) or one is None for size, one in pairs)


def _no_signature(signature: str, model: Model) -> str:
    return f"Expected a signature {signature}, got {_named(model)}."


def _named(model: Model) -> str:
    """The names of the signatures, as many as fit in a sentence."""
    names = sorted(model.signatures)
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") or "none"


def _sizes(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"


def _table_rows(model: Model) -> Iterator[int]:
    """The rows of the tables that ids are looked up in."""
    for signature in model.signatures.values():
        if "ids" not in signature.inputs:
            continue
        graph = model.graphs[signature.graph]
        ids = {signature.inputs["ids"]}
        for op in graph.ops:
            if op.code in _KEEP_IDS and ids & set(op.inputs):
                ids |= set(op.outputs)
            elif op.code in _LOOK_UP:
                table, places = (op.inputs[place] for place in _LOOK_UP[op.code])
                if places in ids and table not in ids:
                    yield graph.tensors[table].shape[0]
