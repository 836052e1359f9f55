"""The commands of `limitpoint`: described in `arguments`, one a file `NAME_` with `run(args)`."""
