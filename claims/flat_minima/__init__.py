"""Along the minima, to the flattest."""
