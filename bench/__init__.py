"""Benchmarks: the fused engine beside what a user would write instead."""
