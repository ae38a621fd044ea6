"""The fixtures of localaws' own tests: a running one, and a platform in the tests' own process."""

from localaws_tests.fixtures import bucket, laptop, platform, role_arn

__all__ = ["bucket", "laptop", "platform", "role_arn"]
