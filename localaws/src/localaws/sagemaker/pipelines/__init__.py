"""SageMaker Pipelines: definitions, their references, and executions in dependency order."""
