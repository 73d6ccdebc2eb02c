"""Shows where the processor time of a call goes; run `python -m benchmarks.profiles`."""
