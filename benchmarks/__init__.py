"""Speed and memory, side by side with peers and with the machine's limits: ``python -m benchmarks [NAME ...]``."""
