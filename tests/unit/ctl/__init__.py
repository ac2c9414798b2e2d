"""What the command decides and how it renders, by tables."""
