"""What the documentation claims, measured: each benchmark prints a ratio against a named peer.

`python -m benchmarks.` and one of ingestion, growth, engine, classifiers, training_growth, serving, images,
transformer measures; debian writes data sets for classifiers. The other modules are what these share.
"""
