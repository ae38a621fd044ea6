"""Explain why a run failed."""
