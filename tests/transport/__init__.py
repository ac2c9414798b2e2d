"""The socket itself: the claim on its path, and the router on real connections."""
