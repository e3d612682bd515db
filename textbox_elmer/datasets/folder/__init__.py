"""A dataset's folder: what it holds, and how a new one comes into being."""
