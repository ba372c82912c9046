"""Files that the parity check would refuse, written all the same to be measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import click


@contextmanager
def written_though_refused() -> Iterator[None]:
    """Says what the check of each file finds, and refuses none in the context."""
    from keras_transformer.edge.compare.parity import Parity
    from keras_transformer.zoo.errors import RunError

    refuse = Parity.check

    def say(self, spec, **given):
        click.echo(f"{spec.name}: {self}")
        try:
            refuse(self, spec, **given)
        except RunError as error:
            click.echo(f"written here, though refused: {error}")

    with mock.patch.object(Parity, "check", say):
        yield
