"""Runs in an environment that has MediaPipe: reads a JSON request, prints what the tasks give.

The request: `{"file": ..., "task": "classify" | "embed", "texts": [...]}`, or in place of texts
`"pixels"`, the path of a .npy file of uint8 pixels (rows, height, width, 3), or `"waveforms"`, that
of float32 samples (rows, samples) with their `"rate"`.
"""

import json
import sys

import mediapipe
import numpy as np
from mediapipe.tasks import python
from mediapipe.tasks.python import audio, text, vision
from mediapipe.tasks.python.components.containers import AudioData


def images_of(path: str) -> list:
    """The rows of a file as MediaPipe's images."""
    return [
        mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(row))
        for row in np.load(path)
    ]


def main() -> None:
    request = json.load(sys.stdin)
    base = python.BaseOptions(model_asset_path=request["file"])
    kinds, rows = (text, "Text"), request.get("texts")
    if "pixels" in request:
        kinds, rows = (vision, "Image"), images_of(request["pixels"])
    if "waveforms" in request:
        kinds, rows = (audio, "Audio"), [
            AudioData.create_from_array(row, request["rate"])
            for row in np.load(request["waveforms"])
        ]  # fmt: skip
    module, name = kinds
    task = "Classifier" if request["task"] == "classify" else "Embedder"
    options = getattr(module, f"{name}{task}Options")(base_options=base)
    with getattr(module, f"{name}{task}").create_from_options(options) as opened:
        found = [getattr(opened, request["task"])(one) for one in rows]
    # Of each window of a sound there is a result; the others have one.
    results = [windows if isinstance(windows, list) else [windows] for windows in found]
    if task == "Classifier":
        answers = [
            {one.category_name: float(one.score) for one in window.classifications[0].categories}
            for windows in results for window in windows
        ]  # fmt: skip
    else:
        answers = [
            window.embeddings[0].embedding.tolist() for windows in results for window in windows
        ]
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
