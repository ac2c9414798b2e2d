"""The room ``scheduling``: its pure queue, and turns on an event loop."""
