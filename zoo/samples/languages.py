"""Sample data for classification: names and their languages, from Babel's CLDR tables."""

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from keras_transformer.zoo.errors import InputError
from keras_transformer.zoo.samples.tables import (
    SPLITS,
    load_locale,
    split_of,
    split_paths,
    write_splits,
)

LANGUAGES = (
    *("en", "de", "nl", "sv", "da", "fi", "et", "hu"),
    *("es", "pt", "it", "fr", "ro", "pl", "cs", "sk", "tr", "id"),
    *("ru", "uk", "bg", "el", "ar", "fa", "hi", "zh", "ja", "ko"),
)
# Shares in thousandths of the concepts; the rest is training data.
VALIDATION_PARTS, TEST_PARTS = 80, 155


def language_examples(
    languages: Sequence[str] = LANGUAGES, *, seed: int = 0
) -> dict[str, list[tuple[str, str]]]:
    """Generates texts labelled with the code of their language.

    A text names a territory, language, script, currency, unit, month or day. The split is by
    concept: a concept (Mexico together with its currencies, say) is in the same split in all
    languages, so that a test measures languages and not memorized names. Texts that are the same
    in two of the languages are left out, and no text of one split is in another, both regardless
    of case.

    Args:
        languages: codes of languages that Babel knows.
        seed: seed of the split of the concepts.

    Returns:
        `train`, `validation` and `test` to sorted (text, label).

    Raises:
        InputError: if Babel is not installed, a language is unknown, or there are fewer than two.
    """
    if len(set(languages)) < 2 or len(set(languages)) < len(languages):
        raise InputError(f"Expected at least two different languages, got {', '.join(languages)}.")
    spoken_in: dict[str, set[str]] = {}
    concepts: dict[str, set[str]] = {}
    texts: dict[tuple[str, str], str] = {}
    for language in languages:
        for concept, name in _names(language):
            text = " ".join(unicodedata.normalize("NFC", name).split())
            folded = text.casefold()
            if sum(character.isalpha() for character in folded) < 2:
                continue
            spoken_in.setdefault(folded, set()).add(language)
            split = split_of(concept, seed, validation=VALIDATION_PARTS, test=TEST_PARTS)
            concepts.setdefault(folded, set()).add(split)
            texts[language, folded] = min(text, texts.get((language, folded), text))
    examples: dict[str, list[tuple[str, str]]] = {split: [] for split in SPLITS}
    for (language, folded), text in texts.items():
        if len(spoken_in[folded]) == 1:
            split = next(split for split in SPLITS if split in concepts[folded])
            examples[split].append((text, language))
    return {split: sorted(rows) for split, rows in examples.items()}


def write_tables(
    folder: str | Path,
    *,
    languages: Sequence[str] = LANGUAGES,
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Writes train.tsv, validation.tsv and test.tsv with the columns `text` and `label`.

    Raises:
        InputError: as `language_examples`.
        FileExistsError: if a table exists and `overwrite` is False.
    """
    paths = split_paths(folder, overwrite=overwrite)
    examples = language_examples(languages, seed=seed)
    write_splits(paths, ("text", "label"), examples, overwrite=overwrite)
    return paths


def _names(language: str) -> Iterator[tuple[str, str]]:
    """Yields (concept, name) for everything that the language's tables name."""
    locale = load_locale(language, "language")
    for code, name in locale.territories.items():
        yield f"region {code}", name
    for code, name in locale.currencies.items():
        # The first two letters are the territory: the peso of Mexico is in the split of Mexico.
        yield f"region {code[:2]}", name
    for code, name in locale.languages.items():
        yield f"language {code.split('_')[0]}", name
    for code, name in locale.scripts.items():
        yield f"script {code}", name
    for code, names in locale.unit_display_names.items():
        if "long" in names:
            yield f"unit {code}", names["long"]
    for kind, contexts in (("month", locale.months), ("day", locale.days)):
        for context in contexts.values():
            for code, name in context["wide"].items():
                yield f"{kind} {code}", name
