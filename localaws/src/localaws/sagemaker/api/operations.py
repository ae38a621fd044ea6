"""An operation of an API: a function from its request to its answer."""

from collections.abc import Callable

from localaws.sagemaker.api.shapes import Document

Operation = Callable[[Document], Document]
"""Raises SageMakerError where AWS answers with an error."""
