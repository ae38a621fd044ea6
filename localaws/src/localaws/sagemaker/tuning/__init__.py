"""Hyperparameter tuning jobs: a search over ranges, made of real training jobs."""
