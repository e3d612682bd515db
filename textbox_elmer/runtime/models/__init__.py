"""Which models the embedded host knows, and how it builds or loads them."""
