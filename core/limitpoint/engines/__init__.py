"""Engines: one call runs a rule on a problem, by the definition in torch or by compiled loops."""
