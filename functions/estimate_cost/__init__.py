"""Estimate what the jobs of a run would cost on AWS."""
