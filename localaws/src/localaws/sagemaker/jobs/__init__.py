"""Processing, training and batch transform jobs."""
