"""The HTML report of a model's quality."""
