"""Tables of the papers, as data frames."""
