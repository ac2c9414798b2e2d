"""The protocol in lines of JSON, for programs that have no ZeroMQ."""
