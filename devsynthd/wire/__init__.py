"""What is said: requests, replies, errors, and their two encodings. Pure."""
