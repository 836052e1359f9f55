"""What the papers derive, as functions: quantities a claim compares a run with."""
