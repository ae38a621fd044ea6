"""The environment of a function: the variables that template.yaml sets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict


class FunctionEnvironment(BaseModel):
    """The base of each function's `Environment`: one field per variable, in lower case."""

    model_config = ConfigDict(alias_generator=str.upper)

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read and check the variables.

        Raises:
            pydantic.ValidationError: names every variable that is missing or has a wrong value.
        """
        return cls.model_validate(dict(environ))
