"""SageMaker Feature Store: feature groups with an online store in SQLite and an offline store in S3."""
