"""Raw files to records of the feature store: what `ingest` does."""
