"""Table 1 of usam_report, as printed and as measured on CIFAR-10 or on images that stand in."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from limitpoint.commands._screen import console, print_json
from limitpoint.engines.run import run as run_rule
from limitpoint.engines.trajectory import Trajectory
from limitpoint.errors import UsageError
from limitpoint.problems.image_files import read_cifar10
from limitpoint.problems.images import ImageSet, spectral_images
from limitpoint.views.tables.table1 import CLASSES, COLUMNS, INDEX, STEPS, compared, rules, tasks_of

TITLES = {
    "gap": "gap", "trace": "trace of H", "sensitivity": "sensitivity", "sensitivity_std": "its std",
    "norm": "norm", "distance": "distance", "from_first": "from GD",
}  # fmt: skip
SMALL = ("sensitivity", "sensitivity_std", "from_first")
SIDES = ("printed", "measured")
PRINTED, MEASURED = "yellow", "cyan"


def run(args: argparse.Namespace) -> int:
    """Measure the table and print it beside the printed one."""
    args.steps = args.steps or STEPS
    images = _images(args)
    table = _measured(images, args)
    origin = _origin(images, args)
    if args.csv:
        _write_csv(args.csv, table, origin)
    if args.json:
        print_json({"images": origin, "rows": _rows(table)})
    else:
        shown = _rendered(table, origin, stand_in=args.cifar10 is None)
        shown.caption = (
            f"{args.per_class} images of each class, {args.steps} steps. from GD: distance to GD's "
            "solution from the same start, over its norm."
        )
        console().print(shown)
    return 0


def _images(args: argparse.Namespace) -> ImageSet:
    if args.cifar10 is None:
        return spectral_images(args.seed, per_class=args.per_class)
    return read_cifar10(args.cifar10)


def _origin(images: ImageSet, args: argparse.Namespace) -> str:
    name = images.train.name.partition(",")[0]
    return f"{name} ({args.cifar10})" if args.cifar10 else f"{name}, a stand-in for CIFAR-10"


def _measured(images: ImageSet, args: argparse.Namespace) -> pd.DataFrame:
    tasks = tasks_of(images, args.per_class, seed=args.seed)
    with Progress(console=console(stderr=True), transient=True) as bar:
        runs = bar.add_task("table 1", total=len(tasks) * len(rules()))

        def runner(*given: Any, **options: Any) -> Trajectory:
            found = run_rule(*given, **options)
            bar.advance(runs)
            return found

        return compared(tasks, steps=args.steps, seed=args.seed, runner=runner)


def _write_csv(path: Path, table: pd.DataFrame, origin: str) -> None:
    flat = table.set_axis(table.columns.map("_".join), axis=1)
    try:
        flat.assign(images=origin).to_csv(path)
    except OSError as exc:
        raise UsageError(f"--csv {path}: cannot be written ({exc.strerror or exc})") from None


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        dict(zip(INDEX, index, strict=True))
        | {side: table.loc[index, side].to_dict() for side in SIDES}
        for index in table.index.to_list()
    ]


def _rendered(table: pd.DataFrame, origin: str, *, stand_in: bool) -> Table:
    """A row of the report's table has two lines: as printed, and as measured."""
    title = Text.assemble(
        "Table 1 of usam_report, ", ("as printed", PRINTED), " and ", ("as measured", MEASURED),
        " on ", (origin, "bold red" if stand_in else "bold"),
    )  # fmt: skip
    shown = Table(title=title, title_justify="left", box=box.SIMPLE)
    shown.add_column("optimizer, start", no_wrap=True)
    shown.add_column("")
    for name in (*COLUMNS, "from_first"):
        shown.add_column(TITLES[name], justify="right")
    for task in CLASSES:
        shown.add_row(Text(task, "bold"))
        for index in table.loc[[task]].index.to_list():
            cells = [_cell(table.loc[index], name) for name in (*COLUMNS, "from_first")]
            shown.add_row(", ".join(index[1:]), _stacked(*SIDES), *cells)
        shown.add_section()
    return shown


def _cell(row: pd.Series, name: str) -> Text:
    above = _number(row["printed"][name], name) if name in COLUMNS else ""
    return _stacked(above, _number(row["measured"][name], name))


def _stacked(above: str, below: str) -> Text:
    return Text.assemble((above, PRINTED), "\n", (below, MEASURED))


def _number(value: float, name: str) -> str:
    return format(value, ".2e" if name in SMALL else ".2f")
