"""What the daemon promises while its machine fails it. ``python -m tests.faults`` tells all."""
