"""What devsynthd.upstream decides."""
