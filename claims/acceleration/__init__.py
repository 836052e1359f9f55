"""Rates with their constants."""
