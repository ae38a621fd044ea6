"""The alternatives that the benchmarks compare with."""
