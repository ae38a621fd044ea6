"""Hyperparameter tuning jobs, which run real training jobs."""
