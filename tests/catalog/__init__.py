"""The poller and the catalog on an event loop, with a clock and an upstream of the test's own."""
