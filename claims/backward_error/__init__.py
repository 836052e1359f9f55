"""Modified flows."""
