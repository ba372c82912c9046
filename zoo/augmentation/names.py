"""Names of kinds of augmentation in a list with commas."""

from keras_transformer.zoo.errors import InputError


def kinds_of(names: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the kinds of augmentation of a list with commas, in the order of the known ones.

    Raises:
        InputError: if one is unknown or named twice.
    """
    found = [name.strip() for name in names.split(",")] if names.strip() else []
    if len(set(found)) < len(found) or not set(found) <= set(known):
        raise InputError(
            f"Expected augment to name some of {', '.join(known)}, each once, got "
            f"augment={names!r}."
        )
    return tuple(name for name in known if name in found)
