"""Traffic as a real fleet makes it, with operators beside it, and a verdict: `python -m benchmarks.traffic`."""
