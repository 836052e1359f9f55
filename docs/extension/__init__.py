"""What Sphinx is taught: claims, formulas, and docstrings as we write them."""
