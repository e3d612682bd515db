"""A run's folder and what lies in it: log, results, texts with their traces, curves."""
