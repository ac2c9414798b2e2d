"""What a shell completes when somebody presses Tab. Fast: it asks no daemon, and imports little."""
