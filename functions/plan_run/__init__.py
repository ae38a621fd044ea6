"""Plan a run: which files are new, and which values its pipeline execution gets."""
