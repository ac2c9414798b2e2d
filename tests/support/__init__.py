"""What several tests build on: needs of the machine, a booted system, a second user."""
