"""Measure the documentation's performance claims as ratios against named peers.

Run a benchmark with `python -m benchmarks.NAME`, where NAME is ingestion, growth, engine, classifiers,
training_growth, serving, images or transformer. `benchmarks.debian` writes datasets for classifiers. The
other modules are shared by the benchmarks.
"""
