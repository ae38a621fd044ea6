"""A local AWS: one endpoint in one process, with a SageMaker that runs the code of containers."""
