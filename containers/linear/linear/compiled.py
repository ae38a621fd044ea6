"""Functions compiled to machine code by numba, once for an environment.

The code lies beside the environment's packages, so that a second training finds it and an image can bring
it along (`compile`). It is made for every processor of an architecture, not for the one at hand: an image
built on one machine runs on another without compiling again, and both get the same numbers.
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
    """A hash of this folder's modules: numba looks at a function's own file only, not at those it calls."""
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
    """numba refuses a cache that it cannot write, such as an image's; a filled one need only be read."""

    def ensure_cache_path(self) -> None:
        """Raise OSError if the folder is neither there nor can be made."""
        folder = Path(self._cache_path)
        if os.access(folder, os.W_OK) or not folder.is_dir():
            super().ensure_cache_path()  # type: ignore[no-untyped-call]


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile at the first call. Each function is called with one set of types only.

    Two processes that compile at once then write the same files. The GIL is let go meanwhile.
    """
    return cast(Callable[P, R], njit(cache=True, nogil=True, error_model="numpy")(function))
