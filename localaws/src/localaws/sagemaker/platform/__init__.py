"""What every part of SageMaker is built on: sessions, storage, logs, records, tags and threads."""
