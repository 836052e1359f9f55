"""`python -m limitpoint`."""

from limitpoint.cli import main

raise SystemExit(main())
