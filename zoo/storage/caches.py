"""The user's folder of what was fetched or built once, and can be again."""

import os
from pathlib import Path


def cache_home() -> Path:
    """Returns the folder of the user's caches.

    `XDG_CACHE_HOME` where it is an absolute path; a relative one is ignored, as the XDG Base
    Directory Specification has it.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return given if given.is_absolute() else Path.home() / ".cache"
