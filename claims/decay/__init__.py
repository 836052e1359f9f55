"""Weight decay against noise."""
