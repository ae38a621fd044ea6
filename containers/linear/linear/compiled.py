"""Compile functions with numba, once per environment.

The cache lies in the environment's folder, so that a second training finds it and an image can include it
(`compile`). The code targets the generic CPU of the architecture, not the CPU at hand: an image built on one
machine runs on another without compiling again, and both compute the same numbers.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

from numba import config, njit
from numba.core.caching import UserProvidedCacheLocator

P = ParamSpec("P")
R = TypeVar("R")


def sources() -> str:
    """Hash this package's modules: numba tracks a function's own file only, not those of its callees."""
    content = b"\0".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return hashlib.sha256(content).hexdigest()[:16]


SETTINGS = {
    "CPU_NAME": "generic",
    "CPU_FEATURES": "",
    "CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR") or str(Path(sys.prefix) / "compiled" / sources()),
    "CACHE_LOCATOR_CLASSES": f"{__name__}.EnvironmentCache,UserWideCacheLocator",
}
vars(config).update(SETTINGS)  # numba reads them when it first compiles


class EnvironmentCache(UserProvidedCacheLocator):
    """Cache locator that also accepts a read-only cache, such as an image's, which numba would refuse."""

    def ensure_cache_path(self) -> None:
        """Create the folder; raise OSError if it does not exist and cannot be created."""
        folder = Path(self._cache_path)
        if os.access(folder, os.W_OK) or not folder.is_dir():
            super().ensure_cache_path()  # type: ignore[no-untyped-call]


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function at its first call; call each with one set of types only.

    Processes that compile at the same time write the same files. The function releases the GIL.
    """
    return cast(Callable[P, R], njit(cache=True, nogil=True, error_model="numpy")(function))
