"""`python -m benchmarks.ablation`."""

from benchmarks.ablation.command import OPTIONS, main
from benchmarks.starting import start

if __name__ == "__main__":
    raise SystemExit(start("ablation", main, OPTIONS))
