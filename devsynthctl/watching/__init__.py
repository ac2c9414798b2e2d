"""What is shown while it goes on: news of the daemon, from one of its lives to the next."""
