"""The real commands: signals, files, exit statuses."""
