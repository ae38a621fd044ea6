"""Test both endpoints with rows whose predictions are known."""
