"""The pipeline's processing jobs: ingestion, dataset creation, evaluation and comparison."""
