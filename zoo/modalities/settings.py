"""Base of the settings of modalities: read from a config, and checked."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from keras_transformer.zoo.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModalitySettings:
    """Settings of a modality; a subclass adds them as fields, and checks them.

    Attributes:
        modality: name of the modality, for messages.
    """

    modality: ClassVar[str]

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Creates them from the `modality_settings` of a config.

        Raises:
            InputError: if one is missing, unknown or impossible.
        """
        fields = {field.name: field.default for field in dataclasses.fields(cls)}
        required = sorted(name for name in fields if fields[name] is dataclasses.MISSING)
        if not set(required) <= set(settings) <= set(fields):
            wanted = (" and " if len(required) == 2 else ", ").join(required)
            raise InputError(
                f"Expected the settings of the modality {cls.modality} among {', '.join(fields)}, "
                f"with {wanted}, got {dict(settings)}."
            )
        return cls(**settings)

    def _check_integers(self, *bounds: tuple[str, int, int]) -> None:
        """Raises InputError if a field of (name, least, most) is no integer within its bounds."""
        for name, least, most in bounds:
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise InputError(
                    f"Expected {name} to be an integer from {least} to {most}, got "
                    f"{name}={value!r}."
                )
