"""Measure the quality of a model's predictions: the commands `evaluate` and `compare`."""
