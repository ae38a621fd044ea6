"""SageMaker Feature Store: feature groups, their online store in SQLite, their offline store in S3."""
