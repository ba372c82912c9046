"""Images for MediaPipe Tasks, its `ImageClassifier` and `ImageEmbedder`.

They need one uint8 input (1, height, width, 3), to which they stretch an image, and metadata that
call its values red, green and blue.
"""

from keras_transformer.edge.tflite.metadata import IMAGE, TensorInfo
from keras_transformer.zoo.checkpoint import Checkpoint
from keras_transformer.zoo.modalities.image import ImageSettings

KIND, EMBEDS = "Image", True
LOADING = """\
```python
import mediapipe
from mediapipe.tasks import python
from mediapipe.tasks.python import vision

options = vision.{task}Options(base_options=python.BaseOptions(model_asset_path="{file}"))
with vision.{task}.create_from_options(options) as task:
    print(task.{method}(mediapipe.Image.create_from_file("photo.jpg")))
```

MediaPipe stretches an image to the size of the input by its own filter, and does not turn it as its
EXIF says: an app hands over an upright one."""
VOCABULARY = ""


def tensors(checkpoint: Checkpoint) -> dict[str, TensorInfo]:
    """Returns the metadata of the inputs by name."""
    return {
        "pixels": TensorInfo(
            name="pixels", description="Red, green and blue of each pixel, from 0 to 255.",
            content=IMAGE,
        ),
    }  # fmt: skip


def unread(checkpoint: Checkpoint) -> str | None:
    """Returns a reason if MediaPipe would read images otherwise than a checkpoint does."""
    settings = ImageSettings.of(checkpoint.modality.settings)
    if settings.channels != 3:
        return (
            "Expected images of red, green and blue for the target mediapipe, got "
            f"channels={settings.channels}."
        )
    if settings.crop != 1 or not settings.stretch:
        return (
            "Expected images that are stretched as a whole, as MediaPipe does it, got "
            f"crop={settings.crop}, stretch={settings.stretch}; train with --set crop=1 --set "
            "stretch=true, or use --target plain."
        )
    return None
