"""The paper's eight backbones beside second implementations on the same weights: `python -m benchmarks.parity`."""
