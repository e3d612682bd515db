"""What documents our own results; each is `python -m benchmarks.<name> [--option=value …]` in a checkout."""
