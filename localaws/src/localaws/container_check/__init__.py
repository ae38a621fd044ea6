"""Check a container against SageMaker's contract: run it as SageMaker would and report each clause."""
