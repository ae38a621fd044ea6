"""Records of the feature store to a dataset: what `create_dataset` does."""
