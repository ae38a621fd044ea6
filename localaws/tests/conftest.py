"""The fixtures of every test."""

from localaws_tests.fixtures import bucket, job_name, laptop, platform, role_arn, storage

__all__ = ["bucket", "job_name", "laptop", "platform", "role_arn", "storage"]
