"""The trend, drawn as a figure."""

from __future__ import annotations

from matplotlib.figure import Figure

from limitpoint.identification._courses import COURSES
from limitpoint.identification._deciding import HOLDS
from limitpoint.identification._following import NORMS
from limitpoint.identification._identify import Identification
from limitpoint.views.figures.style import INK, MUTED

COLOURS = ("#8c6d1f", "#2f6fb0", "#c8501e", "#2e7d4f", "#7b4fa3")


def draw(found: Identification) -> Figure:
    """A panel a course: position (line) and heading (dots) in each norm over the steps."""
    canvas = Figure(figsize=(11, 6.4), layout="constrained")
    axes = canvas.subplots(2, 2, sharex=True, sharey=True)
    for ax, course in zip(axes.flat, COURSES, strict=True):
        curves, verdict = found.curves[course.name], found.verdicts[course.name]
        late = curves.times > 0
        for j, (name, colour) in enumerate(zip(NORMS, COLOURS, strict=True)):
            ax.plot(curves.times[late], curves.position[late, j], color=colour, lw=1.8, label=name)
            ax.plot(curves.times[late], curves.heading[late, j], ".", color=colour, ms=4, alpha=0.5)
        if verdict.epsilon_step is not None:
            ax.axvline(verdict.epsilon_step, color=INK, lw=0.8, ls=":")
            ax.text(verdict.epsilon_step, 0.02, " epsilon", color=INK, fontsize=8)
        ax.axhspan(HOLDS, 1, color=MUTED, alpha=0.2, lw=0)
        ax.set(xscale="log", ylim=(0, 1.02))
        nearest = f" {verdict.norm}" if verdict.norm else ""
        ax.set_title(f"{course.name}: {course.about}\n{verdict.status}{nearest}", fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
    axes[1, 0].set_xlabel("step")
    axes[1, 1].set_xlabel("step")
    for ax in axes[:, 0]:
        ax.set_ylabel("margin / certified optimum")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    handles += axes[0, 0].plot([], [], ".", color=INK, ms=5)
    labels = [*labels, "heading"]
    canvas.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    canvas.suptitle(f"{found.target}: {found.answer.answer}", color=INK)
    return canvas
