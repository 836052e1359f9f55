"""From a claim to a verdict: trials, evidence, errata, and the only way in which a claim is run."""
