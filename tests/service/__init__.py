"""The daemon in a thread, spoken to over real sockets, its upstream a scripted HTTP server."""
