"""One task of a file of several."""

import functools
from collections.abc import Mapping
from typing import Any

from keras_transformer.edge.runtime.interpreters import ReadFile
from keras_transformer.edge.runtime.names import LOGITS, PREDICT
from keras_transformer.edge.runtime.runner import Runner
from keras_transformer.zoo.outputs import decision_of
from keras_transformer.zoo.tagging.windows import stride_of


class HeadRunner(Runner):
    """Runs one task of a `.tflite` file of several, with the file's interpreter.

    It computes in this process, whatever the workers of the file are.

    Args:
        whole: runner of the file.
        name: name of one of its tasks.

    Attributes:
        head_name: the same.
    """

    def __init__(self, whole: Runner, name: str):
        own = whole.description["heads"][name]
        self.head_name, self._counts = name, whole._counts
        self.path, self.name, self._file = whole.path, whole.name, whole._file
        # The hash of this head's checkpoint; that of the whole is of other weights.
        provenance = {
            **whole.description.get("provenance", {}),
            "weights_sha256": own.get("weights_sha256"),
        }
        self.description = {**whole.description, **own, "provenance": provenance, "heads": {}}
        task = self.description["task"]
        self.task = self.task_name = task["name"]
        self.pair, self.precision = task["pair"], whole.precision
        self.modality = whole.modality.of_kind(task.get("modality", "text"))
        # Rows of one size have signatures by the file's lengths nevertheless.
        self._longest = whole.lengths[-1]
        self._positions = self.modality.positions(self.modality.settings)
        self.lengths = whole.lengths if self._positions is None else [self._positions]
        self.output = LOGITS
        self.columns = self.description["columns"]
        self.output_kind = self.description["output_kind"]
        self.labels = tuple(self.description["labels"])
        self.decision = decision_of(self.output_kind, task, self.labels)
        self.stride = stride_of(task)
        self._engines, self._passes = whole._engines, whole._passes
        self._workers, self._heads = None, {}
        self._specs = {spec.name: spec for spec in self.modality.inputs(pair=self.pair)}
        self._inputs = list(self._specs)
        signature = self.interpreter.get_signature_list()[PREDICT]
        self._beside = [one for one in signature["inputs"] if one not in self._specs]
        # An encoder of its own has nothing in common with the others.
        self._is_tower = self.modality is not whole.modality

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(_head_of, self.head_name, self._counts), (self._file,)

    def _predict(self, length, inputs):
        length = length if self._positions is None else self._longest
        if self._is_tower:
            found = self._engines.claim().engine(length, inputs, self.head_name)
            return found[LOGITS], found
        output = self._passes.output(self.head_name, length, inputs, self._beside)
        return output, {LOGITS: output}


def _head_of(name: str, counts: Mapping[str, int], file: ReadFile) -> Runner:
    return Runner(file, **counts).head(name)
