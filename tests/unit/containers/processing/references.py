"""scikit-learn's and scipy's implementations of the figures, imported by the first test that uses one.

Every worker of pytest-xdist imports every test module, and these libraries take seconds to import.
"""

from importlib import import_module
from typing import Any

MODULES = {"binomtest": "scipy.stats", "calibration_curve": "sklearn.calibration"}


def __getattr__(name: str) -> Any:
    return getattr(import_module(MODULES.get(name, "sklearn.metrics")), name)
