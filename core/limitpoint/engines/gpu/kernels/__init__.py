"""Triton functions. Importing them needs Triton, which comes with torch's builds for CUDA."""
