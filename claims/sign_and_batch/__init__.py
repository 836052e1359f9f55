"""Adam's bias by batch."""
