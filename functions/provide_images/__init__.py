"""Provide the container images of a stack: find them in the registry or have them built."""
