"""SageMaker's API on the wire: shapes, errors, permissions, CloudFormation's resource types."""
