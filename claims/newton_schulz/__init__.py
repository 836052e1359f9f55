"""Muon as it is used."""
