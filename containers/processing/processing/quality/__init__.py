"""How good a model's answers over the test split are: what `evaluate` and `compare` do."""
