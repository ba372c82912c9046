"""Base of the tasks whose models read a row in windows, and give outputs at each position."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from keras_transformer.zoo.modalities.modality import Features
from keras_transformer.zoo.modalities.text import Text
from keras_transformer.zoo.tagging.windows import stride_of
from keras_transformer.zoo.tasks.task import Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowedTask(Task):
    """A task whose model reads a row in windows, which overlap where there are several.

    Subclasses add `windows`, the windows of examples.

    Attributes:
        stride: number of tokens that neighbouring windows have in common, see `windows_of`; 0 for a
            quarter of a window. Checkpoints and files hold it: what they predict depends on it.
    """

    # Models that differ in it alone compute the same.
    stride: int = dataclasses.field(default=0, compare=False)

    own_options: ClassVar[tuple[str, ...]] = ("stride",)

    def __post_init__(self):
        stride_of({"stride": self.stride})

    def windows(self, examples: Any, modality: Text) -> Any:
        """Returns the windows that the model reads of the examples."""
        raise NotImplementedError

    def encode(self, examples: Any, modality: Text) -> Features:
        windows = self.windows(examples, modality)
        return Features(windows.columns, windows.truncated)

    def metrics(self, examples: Any, outputs: Any) -> dict[str, Any]:
        """Returns the metrics of outputs against the examples' targets."""
        raise NotImplementedError

    def metrics_of(self, examples: Any, outputs: Any) -> dict[str, Any]:
        """Returns the result of `evaluate` for outputs of the examples."""
        return {
            "rows": len(examples), "truncated": sum(outputs.truncated),
            **self.metrics(examples, outputs),
        }  # fmt: skip

    def options(self) -> dict[str, Any]:
        return {"stride": self.stride} if self.stride else {}

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | WindowedTask.options(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], labels: tuple[str, ...]) -> Self:
        others = {name: one for name, one in value.items() if name != "stride"}
        return dataclasses.replace(super().from_json(others, labels), stride=stride_of(value))
