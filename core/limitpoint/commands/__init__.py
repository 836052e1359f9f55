"""The commands of `limitpoint`, one a file.

A command module has `HELP` (one line), `add_arguments(parser)` and `run(args) -> exit code`.
"""
