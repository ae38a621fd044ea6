"""Ingest raw files as records of the feature store: the command `ingest`."""
