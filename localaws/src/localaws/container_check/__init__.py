"""Does a container keep SageMaker's contract? Runs it as SageMaker would, and tells what holds."""
