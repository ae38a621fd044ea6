"""The base of all resources: sessions, storage, logs, records, tags and threads."""
