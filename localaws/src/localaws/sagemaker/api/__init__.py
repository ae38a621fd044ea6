"""SageMaker's API: HTTP, validation, errors, permissions and CloudFormation resource types."""
