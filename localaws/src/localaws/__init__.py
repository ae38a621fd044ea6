"""The laptop's AWS: one endpoint in one process, whose SageMaker really runs the containers' code."""
