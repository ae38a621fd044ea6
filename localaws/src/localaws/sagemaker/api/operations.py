"""The type of an API operation: a function from the request to the response."""

from collections.abc import Callable

from localaws.sagemaker.api.shapes import Document

Operation = Callable[[Document], Document]
"""Raises SageMakerError where AWS returns an error."""
