"""Continues prompts with LiteRT-LM, in a separate process that has only its file.

Run as `python -m keras_transformer.edge.targets.litertlm.lm_replay FOLDER`. The folder contains
`MODEL` and `PROMPTS`, the texts and the number of tokens to generate after each; the program adds
`CONTINUED`, the ids of each prompt and its greedy continuation.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

MODEL, PROMPTS, CONTINUED = "model.litertlm", "prompts.json", "continued.json"


def continued(path: Path, prompts: Sequence[str], max_tokens: int) -> list[dict]:
    """Returns `ids` and `text` of each prompt."""
    import litert_lm

    results = []
    with litert_lm.Engine(str(path)) as engine:
        for prompt in prompts:
            with engine.create_session(
                apply_prompt_template=False, max_output_tokens=max_tokens
            ) as session:  # fmt: skip
                session.run_prefill([prompt])
                parts = [part for made in session.run_decode_async() for part in made.texts]
            results.append({"ids": engine.tokenize(prompt), "text": "".join(parts)})
    return results


def main() -> None:
    """Reads the folder, and writes LiteRT-LM's results."""
    folder = Path(sys.argv[1])
    asked = json.loads((folder / PROMPTS).read_bytes())
    results = continued(folder / MODEL, asked["prompts"], asked["max_tokens"])
    (folder / CONTINUED).write_text(json.dumps(results))


if __name__ == "__main__":
    main()
