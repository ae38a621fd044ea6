"""SageMaker's API on one machine: every job is a process, every status is what that process earned."""
