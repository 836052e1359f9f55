"""What each command takes. Light: what is wrong with a command line is said without torch."""

from __future__ import annotations

import argparse
import re
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limitpoint.errors import UsageError, meant
from limitpoint.identification import SHORTEST, STEPS, TIMEOUT
from limitpoint.judgement.keywords import Keywords
from limitpoint.judgement.registry import papers
from limitpoint.judgement.roles import ROLES, check_role
from limitpoint.judgement.seeds import parse_seeds
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


# ------------------------------------------------------------------------------------------- types


def _typed(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """A type of argparse that passes on what a `UsageError` says."""

    def typed(text: str) -> Any:
        try:
            return read(text)
        except UsageError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from None

    return typed


def _paper(text: str) -> str:
    if text not in papers():
        known = f"{meant(text, papers())}; one of {', '.join(papers())}"
        raise UsageError(f"unknown paper {text!r}{known}")
    return text


def _spec(text: str) -> str:
    """ROLE=MODULE:ATTR..., as far as its role goes."""
    role, equals, _ = text.partition("=")
    if not equals or ":" in role:
        raise UsageError(f"{text!r} names no role: write ROLE={text}, as gd={text}")
    check_role(role.strip())
    return text


def _optimizer(text: str) -> str:
    if "=" in text.partition(":")[0]:
        raise UsageError(f"{text!r}: an optimizer has no role here; write MODULE:ATTR[,key=value]")
    return text


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not number > 0:
        raise UsageError(f"{text!r} is no number > 0")
    return number


def _above_one(text: str) -> float:
    if not _positive(text) > 1:
        raise UsageError(f"{text}: must be > 1")
    return float(text)


def _at_least(least: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise UsageError(f"{text!r}: must be a whole number >= {least}")
        return int(text)

    return whole


def _figure(text: str) -> Path:
    if Path(text).suffix not in (".png", ".svg", ".pdf"):
        raise UsageError(f"{text}: the name must end in .png, .svg or .pdf")
    return Path(text)


def _figure_name(text: str) -> str:
    """How the name of a figure begins: the names are read off the files, none of which is run."""
    folder = Path(__file__).parents[1] / "views" / "figures"
    texts = (path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    names = [name for found in texts for name in re.findall(r'^@figure\(\s*"([^"]+)"', found, re.M)]
    if not any(name.startswith(text) for name in names):
        raise UsageError(
            f"no figure is called {text!r}{meant(text, names)} (limitpoint figures --list)"
        )
    return text


def _file(text: str) -> Path:
    try:
        with Path(text).open("rb"):
            return Path(text)
    except OSError as exc:
        raise UsageError(f"{text}: cannot be read ({exc.strerror})") from None


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise UsageError(f"{text}: no such folder")
    return Path(text)


def _in_folder(text: str) -> Path:
    if not Path(text).parent.is_dir():
        raise UsageError(f"{text}: no folder {Path(text).parent}")
    return Path(text)


def _dashboard(text: str) -> Path:
    if not (Path(text) / "index.html").exists():
        raise UsageError(f"{text}: no index.html in it (asv publish makes one)")
    return Path(text)


# --------------------------------------------------------------------------------- shared arguments


def _keyword(parser: ArgumentParser) -> None:
    parser.add_argument("-k", dest="keyword", default=Keywords(""), type=_typed(Keywords),
                        metavar="EXPRESSION", help="only claims whose id, test or file it names, "
                        "as in pytest: 'adam and not rates'")  # fmt: skip


def _selection(parser: ArgumentParser) -> None:
    parser.add_argument("--paper", action="append", default=[], type=_typed(_paper),
                        help="only this paper (repeatable)")  # fmt: skip
    _keyword(parser)


def _seed(parser: ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=42, help="seed of the data (default 42)")


def _json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _limits(parser: ArgumentParser, timeout: float | None, run: str) -> None:
    memory = USUAL.memory
    parser.add_argument("--timeout", type=_typed(_positive), default=timeout, metavar="SECONDS",
                        help=f"what {run} may take (default {timeout:g})")  # fmt: skip
    parser.add_argument("--memory", type=_typed(_positive), default=memory, metavar="GIGABYTES",
                        help=f"what {run} may add to the process (default {memory:g})")  # fmt: skip


# ------------------------------------------------------------------------------------ the commands


def _list(parser: ArgumentParser) -> None:
    _selection(parser)
    _json(parser)


def _check(parser: ArgumentParser) -> None:
    parser.add_argument("subject", nargs="+", type=_typed(_spec),
                        metavar="ROLE=MODULE:ATTR[,key=value...]",
                        help="MODULE may be the path of a file: ./mine.py")  # fmt: skip
    _keyword(parser)
    parser.add_argument("--seeds", default=[42], type=_typed(parse_seeds), metavar="SPEC",
                        help="42, 0-19 or 1,5,7-9 (default 42)")  # fmt: skip
    parser.add_argument("--horizon", default="quick", choices=("quick", "full"))
    _limits(parser, USUAL.timeout, "a run")
    parser.add_argument("--ledger", type=Path, default=None, help="write the JSON ledger here")
    _json(parser)


def _identify(parser: ArgumentParser) -> None:
    parser.add_argument("optimizers", nargs="+", type=_typed(_optimizer),
                        metavar="MODULE:ATTR[,key=value...]",
                        help="MODULE may be the path of a file: ./mine.py")  # fmt: skip
    parser.add_argument("--steps", type=_typed(_at_least(SHORTEST)), default=STEPS, metavar="N",
                        help=f"the horizon of each schedule (default {STEPS})")  # fmt: skip
    parser.add_argument("--figure", type=_typed(_figure), default=None, metavar="FILE",
                        help="draw the trends of one optimizer (.png, .svg, .pdf)")  # fmt: skip
    _limits(parser, TIMEOUT, "the run on one schedule")
    _json(parser)


def _mutants(parser: ArgumentParser) -> None:
    _selection(parser)
    parser.add_argument("--all", action="store_true",
                        help="every rival of a role against every claim about it")  # fmt: skip
    _seed(parser)
    parser.add_argument("--jobs", type=_typed(_at_least(1)), default=None, metavar="N",
                        help="processes (default: one a core)")  # fmt: skip
    parser.add_argument("--reasons", action="store_true",
                        help="list the duels, each with what was measured")  # fmt: skip
    parser.add_argument("--figure", type=_typed(_figure), default=None, metavar="FILE",
                        help="draw the heat map (.png, .svg, .pdf)")  # fmt: skip
    parser.add_argument("--json", nargs="?", const="-", default=None, metavar="FILE",
                        help="keep the matrix in a file, or print it as JSON")  # fmt: skip
    parser.add_argument("--show", type=_typed(_file), default=None, metavar="FILE",
                        help="run nothing: show the matrix that --json kept")  # fmt: skip


def _errata(parser: ArgumentParser) -> None:
    _selection(parser)
    _seed(parser)
    _json(parser)


def _report(parser: ArgumentParser) -> None:
    beside = "beside the ledger, if it is there"
    parser.add_argument("ledger", type=_typed(_file), help="a ledger written by pytest --ledger")
    parser.add_argument("--out", type=Path, default=None, help="default: index.html beside it")
    parser.add_argument("--mutants", type=_typed(_file), default=None, metavar="FILE",
                        help="the kill matrix that `limitpoint mutants --json FILE` kept "
                        f"(default: mutants.json {beside})")  # fmt: skip
    parser.add_argument("--figures", type=_typed(_folder), default=None, metavar="DIR",
                        help="the folder of `limitpoint figures` "
                        f"(default: figures {beside})")  # fmt: skip
    parser.add_argument("--asv", type=_typed(_dashboard), default=None, metavar="DIR",
                        help="the folder of asv's dashboard, to link to "
                        f"(default: ../asv {beside})")  # fmt: skip


def _gate(parser: ArgumentParser) -> None:
    parser.add_argument("ledger", type=_typed(_file), help="a ledger written by pytest --ledger")
    parser.add_argument("--baseline", type=_typed(_file), default=None,
                        help="the ledger to hold it against")  # fmt: skip
    parser.add_argument("--slack-factor", type=_typed(_above_one), default=2.0, metavar="F",
                        help="a least slack may shrink by this factor (default 2)")  # fmt: skip
    parser.add_argument("--at-least", type=int, default=1, metavar="N",
                        help="fail if fewer claims ran (default 1)")  # fmt: skip
    parser.add_argument("--write-expected", type=Path, default=None, metavar="FILE",
                        help="list the claims that failed, for --expected-failures")  # fmt: skip
    parser.add_argument("--write-baseline", type=Path, default=None, metavar="FILE",
                        help="keep what later ledgers are held against, no timings")  # fmt: skip
    _json(parser)


def _figures(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="*", type=_typed(_figure_name),
                        help="names, or how they begin (default: all)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("reports/latest/figures"),
                        help="folder (default reports/latest/figures)")  # fmt: skip
    parser.add_argument("--format", default="png", choices=("png", "svg", "pdf"))
    parser.add_argument("--list", action="store_true", help="list them instead of drawing")


def _margins(parser: ArgumentParser) -> None:
    parser.add_argument("--steps", type=_typed(_at_least(1)), default=10_000, metavar="N",
                        help="of each run (default 10000)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=42, help="of the clusters (default 42)")
    _json(parser)


def _table1(parser: ArgumentParser) -> None:
    parser.add_argument("--cifar10", type=Path, metavar="PATH",
                        help="your copy of CIFAR-10: the folder or the tar.gz of its binary or "
                        "Python version (default: random images with a 1/f spectrum)")  # fmt: skip
    parser.add_argument("--per-class", type=_typed(_at_least(1)), default=100, metavar="N",
                        help="images of each class (default 100, the report's)")  # fmt: skip
    parser.add_argument("--steps", type=_typed(_at_least(1)), default=None, metavar="N",
                        help="of each run (default: the report's)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=42,
                        help="of the sample, the start and the noise (default 42)")  # fmt: skip
    parser.add_argument("--csv", type=_typed(_in_folder), metavar="FILE",
                        help="write both tables there, too")  # fmt: skip
    _json(parser)


_ROLES = "roles (g is the gradient, eta the step):\n" + "\n".join(
    f"  {role:9} {rule}" for role, rule in ROLES.items()
)
COMMANDS = {
    "list": Command("list the claims", _list),
    "check": Command("run the claims of a role against an optimizer", _check, _ROLES),
    "identify": Command("tell which geometry an optimizer maximises the margin in", _identify),
    "mutants": Command("print the kill matrix: claims against wrong optimizers", _mutants),
    "errata": Command("print the errata of the papers, each with its counterexample", _errata),
    "report": Command("write the report page of a ledger, one HTML file without scripts", _report),
    "gate": Command("compare a ledger with a baseline", _gate),
    "figures": Command("draw the figures of the papers", _figures),
    "margins": Command("print which margin each optimizer maximises, by norm", _margins),
    "table1": Command("measure Table 1 of the USAM report beside the printed one", _table1),
}
