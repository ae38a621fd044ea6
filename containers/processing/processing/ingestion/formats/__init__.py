"""The formats of raw files, recognized by their content; each reader yields rows and defects."""
