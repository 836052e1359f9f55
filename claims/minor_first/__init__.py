"""Minor First, Major Last."""
