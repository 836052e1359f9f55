"""What each role is, in a line: for a command line that answers without loading any rule."""

from __future__ import annotations

from limitpoint.errors import UsageError, meant

#: Each role with its rule; the rules themselves are `limitpoint.optimizers.roles.ROLES`.
ROLES = {
    "gd": "w - eta g, g = grad L(w)",
    "momentum": "b = mu b + g; w - eta b",
    "ngd": "w - eta g / ||g||_2",
    "signgd": "w - eta sign(g)",
    "cd": "the largest entry of g alone, a step of length eta",
    "nsd": "the steepest unit step in a p-norm",
    "spectral": "w - eta U V^T, g = U S V^T",
    "muon": "the same of an average of gradients, with the exact factor",
    "adam": "w - eta m / (sqrt(v) + epsilon)",
    "adamw": "Adam with w (1 - eta lambda) before the step",
    "usam": "w - eta grad L(w + rho g)",
    "n-sam": "usam on the whole batch, or one minibatch each for ascent and descent",
    "m-sam": "usam for each batch of m examples by itself, averaged",
    "1-sam": "m-sam with m = 1",
    "sam-l2": "w - eta grad L(w + rho g / ||g||_2)",
    "sam-linf": "w - eta grad L(w + rho sign(g))",
    "optimizer": "any class of torch's kind, as it is: what it owes its user, whatever its rule",
}


def check_role(role: str) -> str:
    """The role itself.

    Raises:
        UsageError: there is no such role.
    """
    if role not in ROLES:
        raise UsageError(f"unknown role {role!r}{meant(role, ROLES)}; roles: {', '.join(ROLES)}")
    return role
