"""Files for hosts that call signatures with ids: `Runner`, LiteRT's own interpreters, browsers."""

from keras_transformer.edge.targets.flatbuffer import FlatbufferWriter
from keras_transformer.zoo.checkpoint import Checkpoint


class Plain(FlatbufferWriter):
    """Writer of the target `plain`."""

    def loading(self, checkpoint: Checkpoint) -> str:
        """Returns a two-line program."""
        call = f"predict([{checkpoint.modality.example}])"
        if checkpoint.task.generates:
            call = 'generate(["a text"])'
            if not checkpoint.modality.is_text:
                call = f"transcribe({checkpoint.modality.example})"
        elif checkpoint.matches_kinds:
            call = 'embed(texts=["a text"])'
        elif checkpoint.task.pair:
            call = 'predict(["a text"], ["its second text"])'
        return f"""\
```python
from keras_transformer.edge.runtime.runner import Runner

print(Runner("{{file}}").{call})
```"""
