"""The demo: get data, upload it to the bucket, follow the run and invoke both endpoints."""
