"""What each command takes. Light: what is wrong with a command line is said without torch."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from limitpoint.commands._types import (
    above_one,
    at_least,
    axis,
    dashboard,
    figure,
    figure_name,
    file,
    folder,
    in_folder,
    optimizer,
    paper,
    positive,
    setting,
    spec,
    sweepable,
    typed,
)
from limitpoint.identification import SHORTEST, STEPS, TIMEOUT
from limitpoint.judgement.keywords import Keywords
from limitpoint.judgement.roles import ROLES
from limitpoint.judgement.seeds import parse_seeds
from limitpoint.judgement.setting import HORIZONS
from limitpoint.subjects import USUAL


@dataclass(frozen=True)
class Command:
    """A command as the command line describes it.

    Args:
        help: one line.
        describe: adds its arguments to a parser.
        epilog: what follows them.
    """

    help: str
    describe: Callable[[ArgumentParser], None]
    epilog: str = ""


# --------------------------------------------------------------------------------- shared arguments


def _keyword(
    parser: ArgumentParser,
    what: str = "claims whose id, test or file",
    such: str = "adam and not rates",
) -> None:
    parser.add_argument("-k", dest="keyword", default=Keywords(""), type=typed(Keywords),
                        metavar="EXPRESSION",
                        help=f"only {what} it names, as in pytest: '{such}'")  # fmt: skip


def _selection(parser: ArgumentParser) -> None:
    parser.add_argument("--paper", action="append", default=[], type=paper,
                        help="only this paper (repeatable)")  # fmt: skip
    _keyword(parser)


def _seed(parser: ArgumentParser, of: str = "the data") -> None:
    parser.add_argument("--seed", type=int, default=42, help=f"seed of {of} (default 42)")


def _json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _limits(parser: ArgumentParser, timeout: float | None, run: str) -> None:
    memory = USUAL.memory
    parser.add_argument("--timeout", type=positive, default=timeout, metavar="SECONDS",
                        help=f"what {run} may take (default {timeout:g})")  # fmt: skip
    parser.add_argument("--memory", type=positive, default=memory, metavar="GIGABYTES",
                        help=f"what {run} may add to its process (default {memory:g})")  # fmt: skip


def _workers(parser: ArgumentParser, jobs: int | None = 1) -> None:
    parser.add_argument("--jobs", type=at_least(1), default=jobs, metavar="N",
                        help="processes, or workers of a local cluster "
                        f"(default {jobs or 'one a core'})")  # fmt: skip
    parser.add_argument("--cluster", default=None, metavar="ADDRESS",
                        help="a Dask scheduler, as tcp://host:8786; `local` starts one here "
                        "(needs limitpoint[cluster])")  # fmt: skip


# ------------------------------------------------------------------------------------ the commands


def _list(parser: ArgumentParser) -> None:
    _selection(parser)
    _json(parser)


def _check(parser: ArgumentParser) -> None:
    parser.add_argument("subject", nargs="+", type=spec,
                        metavar="[ROLE=]MODULE:ATTR[,key=value...]",
                        help="without a role: what it is, which roles fit, the laws, and the "
                        "roles' theorems. MODULE may be the path of a file: ./mine.py; a role "
                        "given twice compares optimizers in it")  # fmt: skip
    _keyword(parser)
    parser.add_argument("--seeds", default=[42], type=typed(parse_seeds), metavar="SPEC",
                        help="42, 0-19 or 1,5,7-9 (default 42)")  # fmt: skip
    parser.add_argument("--horizon", default="quick", choices=HORIZONS)
    _limits(parser, USUAL.timeout, "a run")
    parser.add_argument("--jobs", type=at_least(1), default=1, metavar="N",
                        help="claims at the same time (default 1)")  # fmt: skip
    parser.add_argument("--traceback", action="store_true",
                        help="print where an optimizer raised what it raised")  # fmt: skip
    parser.add_argument("--ledger", type=Path, default=None, help="write the JSON ledger here")
    parser.add_argument("--resume", type=file, default=None, metavar="LEDGER",
                        help="keep what an interrupted check of this commit has done, and go on; "
                        "into the same file unless --ledger names another")  # fmt: skip
    _json(parser)


def _identify(parser: ArgumentParser) -> None:
    parser.add_argument("optimizers", nargs="+", type=optimizer,
                        metavar="MODULE:ATTR[,key=value...]",
                        help="MODULE may be the path of a file: ./mine.py")  # fmt: skip
    parser.add_argument("--steps", type=at_least(SHORTEST), default=STEPS, metavar="N",
                        help=f"the horizon of each schedule (default {STEPS})")  # fmt: skip
    parser.add_argument("--figure", type=figure, default=None, metavar="FILE",
                        help="draw the trends of one optimizer (.png, .svg, .pdf)")  # fmt: skip
    _limits(parser, TIMEOUT, "the run on one schedule")
    _json(parser)


def _mutants(parser: ArgumentParser) -> None:
    _selection(parser)
    parser.add_argument("--all", action="store_true",
                        help="every rival of a role against every claim about it")  # fmt: skip
    _seed(parser)
    _workers(parser, None)
    parser.add_argument("--reasons", action="store_true",
                        help="list the duels, each with what was measured")  # fmt: skip
    parser.add_argument("--figure", type=figure, default=None, metavar="FILE",
                        help="draw the heat map (.png, .svg, .pdf)")  # fmt: skip
    parser.add_argument("--json", nargs="?", const="-", default=None, metavar="FILE",
                        help="keep the matrix in a file, or print it as JSON")  # fmt: skip
    parser.add_argument("--resume", action="store_true",
                        help="keep what the matrix in --json FILE has, and go on")  # fmt: skip
    parser.add_argument("--show", type=file, default=None, metavar="FILE",
                        help="run nothing: show the matrix that --json kept")  # fmt: skip


def _faults(parser: ArgumentParser) -> None:
    _keyword(parser, "faults whose name or description", "epsilon or decay")
    _seed(parser)
    _json(parser)


def _errata(parser: ArgumentParser) -> None:
    _selection(parser)
    _seed(parser)
    _json(parser)


def _report(parser: ArgumentParser) -> None:
    beside = "beside the ledger, if it is there"
    parser.add_argument("ledger", type=file, help="a ledger written by pytest --ledger")
    parser.add_argument("--out", type=Path, default=None, help="default: index.html beside it")
    parser.add_argument("--mutants", type=file, default=None, metavar="FILE",
                        help="the kill matrix that `limitpoint mutants --json FILE` kept "
                        f"(default: mutants.json {beside})")  # fmt: skip
    parser.add_argument("--figures", type=folder, default=None, metavar="DIR",
                        help="the folder of `limitpoint figures` "
                        f"(default: figures {beside})")  # fmt: skip
    parser.add_argument("--asv", type=dashboard, default=None, metavar="DIR",
                        help="the folder of asv's dashboard, to link to "
                        f"(default: ../asv {beside})")  # fmt: skip


def _gate(parser: ArgumentParser) -> None:
    parser.add_argument("ledger", type=file, help="a ledger written by pytest --ledger")
    parser.add_argument("--baseline", type=file, default=None,
                        help="the ledger to hold it against")  # fmt: skip
    parser.add_argument("--slack-factor", type=above_one, default=2.0, metavar="F",
                        help="a least slack may shrink by this factor (default 2)")  # fmt: skip
    parser.add_argument("--at-least", type=int, default=1, metavar="N",
                        help="fail if fewer claims ran (default 1)")  # fmt: skip
    parser.add_argument("--write-expected", type=Path, default=None, metavar="FILE",
                        help="list the claims that failed, for --expected-failures")  # fmt: skip
    parser.add_argument("--write-baseline", type=Path, default=None, metavar="FILE",
                        help="keep what later ledgers are held against, no timings")  # fmt: skip
    _json(parser)


def _known(parser: ArgumentParser) -> None:
    _selection(parser)
    parser.add_argument("--ledger", type=file, default=None, metavar="FILE",
                        help="add the verdicts of a run of the claims")  # fmt: skip
    parser.add_argument("--out", type=in_folder, default=None, metavar="FILE",
                        help="write it there (Markdown; default: print it)")  # fmt: skip


def _figures(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="*", type=figure_name,
                        help="names, or how they begin (default: all)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("reports/latest/figures"),
                        help="folder (default reports/latest/figures)")  # fmt: skip
    parser.add_argument("--format", default="png", choices=("png", "svg", "pdf"))
    parser.add_argument("--list", action="store_true", help="list them instead of drawing")


def _margins(parser: ArgumentParser) -> None:
    parser.add_argument("--steps", type=at_least(1), default=10_000, metavar="N",
                        help="of each run (default 10000)")  # fmt: skip
    _seed(parser, "the clusters")
    _json(parser)


def _table1(parser: ArgumentParser) -> None:
    parser.add_argument("--cifar10", type=Path, metavar="PATH",
                        help="your copy of CIFAR-10: the folder or the tar.gz of its binary or "
                        "Python version (default: random images with a 1/f spectrum)")  # fmt: skip
    parser.add_argument("--per-class", type=at_least(1), default=100, metavar="N",
                        help="images of each class (default 100, the report's)")  # fmt: skip
    parser.add_argument("--steps", type=at_least(1), default=None, metavar="N",
                        help="of each run (default: the report's)")  # fmt: skip
    _seed(parser, "the sample, the start and the noise")
    parser.add_argument("--csv", type=in_folder, metavar="FILE",
                        help="write both tables there, too")  # fmt: skip
    _json(parser)


def _sweep(parser: ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", default=None, type=sweepable,
                        help="a map, a role, the id of a claim, or a TOML file of these options "
                        "(default: list the maps)")  # fmt: skip
    parser.add_argument("--axis", action="append", default=[], type=axis, metavar="NAME=SPEC",
                        help="values of a setting: LOW:HIGH:COUNT, LOW:HIGH:COUNT:log or "
                        "1,2,5 (repeatable)")  # fmt: skip
    parser.add_argument("--fix", action="append", default=[], type=setting, metavar="NAME=VALUE",
                        help="a setting of the rule or the problem, the same everywhere "
                        "(repeatable)")  # fmt: skip
    parser.add_argument("--problem", default=None, metavar="NAME",
                        help="what a role runs on: a function in limitpoint.problems")  # fmt: skip
    parser.add_argument("--steps", type=at_least(1), default=1000, metavar="N",
                        help="of each run of a role (default 1000)")  # fmt: skip
    parser.add_argument("--record", type=at_least(1), default=1, metavar="N",
                        help="rows that a run of a role leaves, by ratio of steps "
                        "(default 1: the end)")  # fmt: skip
    parser.add_argument("--subject", default="", metavar="ROLE=MODULE:ATTR[,key=value...]",
                        help="who plays in a claim; axes are seed and its arguments")  # fmt: skip
    parser.add_argument("--horizon", default="quick", choices=HORIZONS,
                        help="of a claim (default quick)")  # fmt: skip
    parser.add_argument("--out", type=in_folder, default=None, metavar="FILE",
                        help="the CSV file; what it has is not measured again "
                        "(default reports/latest/sweeps/NAME.csv)")  # fmt: skip
    parser.add_argument("--parquet", type=in_folder, default=None, metavar="FILE",
                        help="write the rows of this grid there, too (needs pyarrow)")  # fmt: skip
    parser.add_argument("--figure", type=figure, default=None, metavar="FILE",
                        help="draw them (.png, .svg, .pdf)")  # fmt: skip
    parser.add_argument("--value", default="", metavar="COLUMN",
                        help="what the figure shows (default: what is measured first)")  # fmt: skip
    parser.add_argument("--over", default=(), type=lambda text: text.split(","), metavar="X[,Y]",
                        help="over which columns (default: the first two axes)")  # fmt: skip
    parser.add_argument("--batch", type=at_least(1), default=64, metavar="N",
                        help="settings in one compiled run (default 64)")  # fmt: skip
    _workers(parser)


def _atlas(parser: ArgumentParser) -> None:
    _keyword(parser, "optimizers whose MODULE:ATTR", "torch.optim or lion")
    parser.add_argument("--out", type=in_folder, default=None, metavar="FILE",
                        help="the JSON lines; what they have of these versions is not judged again "
                        "(default reports/latest/atlas.jsonl)")  # fmt: skip
    parser.add_argument("--again", action="store_true", help="judge what has a row already, too")
    _workers(parser)
    _json(parser)


def _roles(parser: ArgumentParser) -> None:
    parser.set_defaults(shown=_ROLES + "\n")
    _json(parser)


_ROLES = "roles (g is the gradient, eta the step):\n" + "\n".join(
    f"  {role:13} {rule}" for role, rule in ROLES.items()
)
COMMANDS = {
    "list": Command("list the claims", _list),
    "roles": Command("list the roles, each with its rule's step", _roles),
    "known": Command("print what is known of each optimizer, from the claims", _known),
    "check": Command(
        "tell what an optimizer is; run the claims of its role against it", _check, _ROLES
    ),
    "identify": Command("tell which geometry an optimizer maximises the margin in", _identify),
    "mutants": Command("print the kill matrix: claims against wrong optimizers", _mutants),
    "faults": Command("print which law refutes each fault of public optimizers", _faults),
    "errata": Command("print the errata of the papers, each with its counterexample", _errata),
    "report": Command("write the report page of a ledger, one HTML file without scripts", _report),
    "gate": Command("compare a ledger with a baseline", _gate),
    "figures": Command("draw the figures of the papers", _figures),
    "margins": Command("print which margin each optimizer maximises, by norm", _margins),
    "atlas": Command("judge every optimizer of the packages that are installed", _atlas),
    "sweep": Command("measure a grid of settings of a rule, a claim or a map", _sweep),
    "table1": Command("measure Table 1 of the USAM report beside the printed one", _table1),
}
