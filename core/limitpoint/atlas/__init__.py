"""The atlas: every optimizer of the packages that are installed, held against the laws."""

from limitpoint.atlas._judge import judge
from limitpoint.atlas._packages import PACKAGES, Package, candidates
from limitpoint.atlas._rows import Atlas, Row

__all__ = ["PACKAGES", "Atlas", "Package", "Row", "candidates", "judge"]
