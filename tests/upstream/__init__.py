"""The upstream over real sockets, to a real server that answers by a script."""
