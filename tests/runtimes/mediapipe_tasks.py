"""Runs in an environment that has MediaPipe: reads a JSON request, prints what the tasks give.

The request: `{"file": ..., "task": "classify" | "embed", "texts": [...]}`, or in place of texts
`"pixels"`, the path of a .npy file of uint8 pixels (rows, height, width, 3).
"""

import json
import sys

import mediapipe
import numpy as np
from mediapipe.tasks import python
from mediapipe.tasks.python import text, vision


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
    module, name = kinds
    task = "Classifier" if request["task"] == "classify" else "Embedder"
    options = getattr(module, f"{name}{task}Options")(base_options=base)
    with getattr(module, f"{name}{task}").create_from_options(options) as opened:
        if task == "Classifier":
            found = [opened.classify(one).classifications[0].categories for one in rows]
            results = [{one.category_name: float(one.score) for one in row} for row in found]
        else:
            results = [opened.embed(one).embeddings[0].embedding.tolist() for one in rows]
    print(json.dumps(results))


if __name__ == "__main__":
    main()
