"""The SageMaker Pipeline, authored in Python with the SageMaker SDK."""
