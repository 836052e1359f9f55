"""What is compiled: models, losses, rules, integrands, and the loop around them.

Written in the subset of Python that numba compiles, hence without annotations.
"""
