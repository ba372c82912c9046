"""Made rows in several files."""

import gzip
import json

WORDS = ["rain", "wind", "é", "a b", "snow\u2028", "", "hail and more rain"]


def written(folder, rows, suffix):
    """Writes rows into several files."""
    parts = [rows[:100], rows[100:101], rows[101:]]
    for number, part in enumerate(parts):
        path = folder / f"part-{number}{suffix}"
        if suffix == ".jsonl.gz":
            lines = [json.dumps(dict(zip(("text", "second", "label"), row, strict=True)))
                     for row in part]  # fmt: skip
            path.write_bytes(gzip.compress("\n".join(lines).encode()))
        else:
            lines = ["\t".join(row) for row in [("text", "second", "label"), *part]]
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / f"part-*{suffix}")
