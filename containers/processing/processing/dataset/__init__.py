"""Create a dataset from the records of the feature store: the command `create_dataset`."""
