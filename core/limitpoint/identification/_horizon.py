"""How far an optimizer is followed, and for how long."""

STEPS, TIMEOUT = 20_000, 300.0
SHORTEST = 100
