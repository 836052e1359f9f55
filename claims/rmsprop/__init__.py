"""RMSprop: its steps."""
