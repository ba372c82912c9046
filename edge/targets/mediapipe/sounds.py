"""Sounds for MediaPipe Tasks, its `AudioClassifier`.

It needs one float32 input (1, samples), and metadata that state its rate and channels. It resamples
a clip to that rate, divides it into windows of that length, and adds zeros after the last.
"""

from keras_transformer.edge.tflite.metadata import AUDIO, TensorInfo
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.modalities.audio import AudioSettings

KIND = "Audio"
# Its AudioEmbedder loads files of LiteRT-LM, and no `.tflite` ones.
EMBEDS = False
LOADING = """\
```python
import soundfile
from mediapipe.tasks import python
from mediapipe.tasks.python import audio
from mediapipe.tasks.python.components.containers import AudioData

samples, rate = soundfile.read("clip.wav", dtype="float32")
options = audio.{task}Options(base_options=python.BaseOptions(model_asset_path="{file}"))
with audio.{task}.create_from_options(options) as task:
    for window in task.{method}(AudioData.create_from_array(samples, rate)):
        print(window)
```

MediaPipe answers for each window of a clip, one after another; `Runner` reads the middle of a clip
that is longer than the input."""
VOCABULARY = ""


def tensors(checkpoint: Checkpoint) -> dict[str, TensorInfo]:
    """Returns the metadata of the inputs by name."""
    rate = AudioSettings.of(checkpoint.modality.settings).rate
    return {
        "waveform": TensorInfo(
            name="waveform", description=f"Samples from -1 to 1, {rate} a second.", content=AUDIO,
            rate=rate,
        ),
    }  # fmt: skip


def unread(checkpoint: Checkpoint) -> str | None:
    """Returns a reason if MediaPipe would read sounds otherwise than a checkpoint does."""
    return None
