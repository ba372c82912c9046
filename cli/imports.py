"""Leaves out what TensorFlow and Keras import only because it happens to be installed.

Each of these modules of theirs tries a package, for a feature that no command of ours uses, and
goes on without it: together they take as long as half of TensorFlow. Elsewhere, and later, the
packages are imported as ever.
"""

import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

# Module -> the packages that it can do without.
NEEDLESS = {
    "tensorflow.lite.python.util": ("jax",),  # converts functions of JAX
    "tensorflow.python.keras.engine.data_adapter": ("pandas", "scipy"),
    "tensorflow.python.keras.engine.training_arrays_v1": ("scipy",),
    "tensorflow.python.keras.engine.training_v1": ("scipy",),
    "keras.src.callbacks.orbax_checkpoint": ("jax",),
    "keras.src.trainers.data_adapters.array_slicing": ("pandas",),
    "keras.src.visualization.plot_bounding_box_gallery": ("matplotlib",),
    "keras.src.visualization.plot_image_gallery": ("matplotlib",),
    "keras.src.wrappers.fixes": ("sklearn",),
    "keras.src.wrappers.sklearn_wrapper": ("sklearn",),
}


class LeanFinder(MetaPathFinder):
    """Finds these modules, and lets each believe that its packages are not installed.

    Args:
        needless: the packages by module.
    """

    def __init__(self, needless: Mapping[str, Sequence[str]]):
        self.needless = needless

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.needless:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                hidden = [name for name in self.needless[fullname] if name not in sys.modules]
                # None makes the import system say that there is no such module.
                sys.modules.update(dict.fromkeys(hidden))
                try:
                    execute(module)
                finally:
                    for name in hidden:
                        del sys.modules[name]

            spec.loader.exec_module = exec_module
        return spec


def skip_needless() -> None:
    """Leaves them out in this process from now on."""
    sys.meta_path.insert(0, LeanFinder(NEEDLESS))
