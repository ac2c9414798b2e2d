"""How it is said: the ROUTER socket, its file and lock, and the peers on it."""
