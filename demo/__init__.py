"""The walk through: get data, drop it into the bucket, watch the run, ask both endpoints."""
