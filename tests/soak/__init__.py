"""A long, hard day of a daemon, and the accounts that show whether it kept its promises."""
