"""What the figures have in common."""

from __future__ import annotations

from matplotlib.axes import Axes

INK, MUTED, ACCENT, WARM = "#1f2933", "#9aa5b1", "#2f6fb0", "#c8501e"


def clean(ax: Axes, x: str, y: str, title: str) -> None:
    """Name the axes and the panel, and leave the frame open."""
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.set_title(title, fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
