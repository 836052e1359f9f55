"""Lion: a constrained problem."""
