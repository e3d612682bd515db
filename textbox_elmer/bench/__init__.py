"""Benches: what something costs or gains, measured beside a peer."""
