"""Runs in an environment that has MediaPipe: reads a JSON request, prints what the tasks give.

The request: `{"file": ..., "task": "classify" | "embed", "texts": [...]}`.
"""

import json
import sys

from mediapipe.tasks import python
from mediapipe.tasks.python import text


def main() -> None:
    request = json.load(sys.stdin)
    base = python.BaseOptions(model_asset_path=request["file"])
    if request["task"] == "classify":
        with text.TextClassifier.create_from_options(
            text.TextClassifierOptions(base_options=base)
        ) as task:
            found = [task.classify(one).classifications[0].categories for one in request["texts"]]
        results = [{one.category_name: float(one.score) for one in row} for row in found]
    else:
        with text.TextEmbedder.create_from_options(
            text.TextEmbedderOptions(base_options=base)
        ) as task:
            found = [task.embed(one).embeddings[0].embedding for one in request["texts"]]
        results = [row.tolist() for row in found]
    print(json.dumps(results))


if __name__ == "__main__":
    main()
