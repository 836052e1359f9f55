"""Laws: what every implementation owes its user."""
