"""Measures the server beside the bare SDK and the bare HTTP client; run `python -m benchmarks`."""
