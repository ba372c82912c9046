"""Scripts of a text, as far as they decide where its words end."""

import re
from collections.abc import Sequence

# Blocks by script. The last is of those, beside Han and kana, that put no spaces between words:
# Thai, Lao, Burmese, Khmer, Tai Le, New Tai Lue, Tai Tham, Balinese, Javanese, Tai Viet.
_BLOCKS = {
    "han": "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af",
    "kana": "\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f",
    "hangul": "\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\uac00-\ud7ff\uffa0-\uffdc",
    "unspaced": "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\u1b00-\u1b7f"
    "\ua980-\ua9ff\uaa60-\uaadf",
}  # fmt: skip
_RUNS = {name: re.compile(f"[{blocks}]+") for name, blocks in _BLOCKS.items()}
_SPACES_LEFT_OUT = ("han", "kana", "unspaced")
# Share of the characters from which on scripts without spaces between words decide.
_DECIDING_SHARE = 0.2


def script_shares(texts: Sequence[str]) -> dict[str, float]:
    """Returns the shares of characters of some scripts, white space left out.

    Args:
        texts: any strings.

    Returns:
        `han`, `kana`, `hangul`, and `unspaced`, the other scripts without spaces between words.
    """
    total, found = 0, dict.fromkeys(_RUNS, 0)
    # Texts that are mapped are decoded anew in each pass.
    for text in texts:
        total += sum(map(len, text.split()))
        if not text.isascii():
            for name, runs in _RUNS.items():
                found[name] += sum(map(len, runs.findall(text)))
    return {name: count / max(1, total) for name, count in found.items()}


def unspaced_share(texts: Sequence[str]) -> float:
    """Returns the share of characters of scripts without spaces between words."""
    shares = script_shares(texts)
    return sum(shares[name] for name in _SPACES_LEFT_OUT)


def spaces_words(texts: Sequence[str]) -> bool:
    """Whether most words of texts stand between spaces."""
    return unspaced_share(texts) < _DECIDING_SHARE
