"""Steps by width: the coordinate check."""
