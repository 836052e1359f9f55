"""pytest plugin: claims as tests, verdicts as outcomes, a ledger and a summary.

Loaded in every pytest session where limitpoint is installed, so nothing heavy is imported before
a claim is collected, and nothing of somebody else's is taken: an option whose name a conftest.py or
another plugin has is there under its long name alone, and no fixture is defined.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from limitpoint.errors import UsageError
from limitpoint.session import Session

if TYPE_CHECKING:
    from limitpoint.judgement.claim import Claim

SESSION = pytest.StashKey[Session]()
RECORD = pytest.StashKey[dict[str, Any]]()
DONE = "limitpoint-done"
LEFT_OUT = "limitpoint-left-out"
JUDGED = "limitpoint-judged"
SHOWN = 2000  # characters of what a claim printed

#: By name. Values are checked in `Session`, so that each mistake exits 2.
OPTIONS: Mapping[str, dict[str, Any]] = {
    "subject": {"action": "append", "default": [], "metavar": "ROLE=MODULE:ATTR[,key=value...]",
                "help": "run somebody else's optimizer in a role; only claims with that role run "
                "(repeatable)"},
    "subject-timeout": {"default": "120", "metavar": "SECONDS",
                        "help": "what a subject may compute in one run (default 120)"},
    "subject-memory": {"default": "4", "metavar": "GIGABYTES",
                       "help": "what a subject's run may add to its process (default 4)"},
    "engine": {"default": "auto", "help": "auto, torch or fused (default auto)"},
    "device": {"default": "cpu", "help": "cpu or cuda (default cpu)"},
    "seeds": {"default": "42", "metavar": "SPEC", "help": "42, 0-19 or 1,5,7-9 (default 42)"},
    "horizon": {"default": "quick", "help": "quick or full (default quick)"},
    "cifar10": {"default": None, "metavar": "PATH",
                "help": "your CIFAR-10, folder or tar.gz, instead of stand-ins"},
    "checkpoints": {"default": None, "metavar": "FOLDER",
                    "help": "where runs of minutes keep their state, to go on from"},
    "cluster": {"default": None, "metavar": "ADDRESS",
                "help": "a Dask scheduler, as tcp://host:8786, whose workers run the claims; "
                "`local` starts one here (needs limitpoint[cluster])"},
    "ledger": {"default": None, "metavar": "PATH", "help": "write the JSON ledger here"},
    "expected-failures": {"action": "append", "default": [], "metavar": "FILE",
                          "help": "TOML of claims known to fail, each with a reason (repeatable)"},
    "resume": {"default": None, "metavar": "LEDGER",
               "help": "keep what an interrupted run of this commit has done, and go on; into the "
               "same file unless --ledger names another"},
    "allow-inconclusive": {"action": "store_true",
                           "help": "skip inconclusive claims instead of failing them"},
}  # fmt: skip


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None]:
    """Add the options once every conftest.py and every other plugin has added its own."""
    early = early_config.known_args_namespace
    valued = {f"--{name}" for name, option in OPTIONS.items() if "default" in option}
    values = {value for name, value in pairwise(args) if name in valued}
    # pytest does not know these options yet, and would look for a conftest.py at their values.
    early.file_or_dir = [path for path in early.file_or_dir if path not in values]
    result = yield
    taken = _taken(parser)
    group = parser.getgroup("limitpoint", "limitpoint: claims about optimizers")
    for name, option in OPTIONS.items():
        names = [f"--{name}"] if f"--{name}" not in taken else []
        group.addoption(*names, f"--limitpoint-{name}", dest=_dest(name), **option)
    return result


def _taken(parser: pytest.Parser) -> set[str]:
    """The names of the options that there are: pytest has no public list of them."""
    groups = [parser._anonymous, *parser._groups]
    return {name for group in groups for option in group.options for name in option.names()}


def _dest(name: str) -> str:
    return f"limitpoint_{name.replace('-', '_')}"


def pytest_configure(config: pytest.Config) -> None:
    """Check the options once; a mistake is one line and exit code 2."""
    options = {
        name: config.getoption(_dest(name), option.get("default"))
        for name, option in OPTIONS.items()
    }
    worker = getattr(config, "workerinput", None)
    if options["cluster"] is not None and getattr(config.option, "numprocesses", None):
        pytest.exit("--cluster: has workers of its own, leave out -n", returncode=2)
    try:
        config.stash[SESSION] = Session(options, None if worker is None else worker[DONE])
    except UsageError as exc:
        pytest.exit(str(exc), returncode=2)


def _claim_of(function: object) -> Claim | None:
    """The claim that a test is; other people's functions may have an attribute of that name."""
    found = getattr(function, "claim", None)
    loaded = sys.modules.get("limitpoint.judgement.claim")
    return found if loaded is not None and isinstance(found, loaded.Claim) else None


def _claim_of_item(item: object) -> Claim | None:
    return _claim_of(getattr(item, "function", None))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a seed; one in all of a claim that does not read it."""
    claim = _claim_of(metafunc.function)
    if claim is not None:
        from limitpoint.judgement.claim import SEED

        seeds = claim.seeds(metafunc.config.stash[SESSION].seeds)
        metafunc.parametrize(SEED, seeds, ids=[f"seed{s}" for s in seeds])


def _seed_of(item: Any) -> int:
    from limitpoint.judgement.claim import SEED

    seed: int = item.callspec.params[SEED]
    return seed


def pytest_itemcollected(item: pytest.Item) -> None:
    """A claim answers to its id under -k."""
    claim = _claim_of_item(item)
    if claim is not None:
        item.extra_keyword_matches.add(claim.id)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of what -k selects, leave out what --resume has done, and claims about no subject's role."""
    session = config.stash[SESSION]
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        claim = _claim_of_item(item)
        wanted = claim is None or session.wants(claim, _seed_of(item))
        (kept if wanted else dropped).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept
    if not hasattr(config, "workerinput"):
        with _one_line():
            session.check_judged()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Hand the claims to the cluster, if there is one; each test then waits for its own."""
    config = session.config
    if config.stash[SESSION].cluster is None or config.option.collectonly:
        return
    claims = [(_claim_of_item(item), item) for item in session.items]
    with _one_line():
        config.stash[SESSION].send((claim, _seed_of(item)) for claim, item in claims if claim)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a claim and turn its verdict into an outcome."""
    claim = _claim_of_item(pyfuncitem)
    if claim is None:
        return None
    import msgspec

    from limitpoint.judgement.check import conclude

    session = pyfuncitem.config.stash[SESSION]
    watch = None if session.checkpoints is None else _progress(pyfuncitem)
    record = session.evaluate(claim, _seed_of(pyfuncitem), watch)
    pyfuncitem.stash[RECORD] = msgspec.to_builtins(record)
    pyfuncitem.user_properties += [
        ("claim", claim.id),
        ("source", claim.source),
        ("verdict", record.verdict.value),
        *[("evidence", str(evidence)) for evidence in record.evidence],
    ]
    conclude(
        record,
        expected=session.expected.get(record.id),
        allow_inconclusive=session.allow_inconclusive,
    )
    return True


def _progress(item: pytest.Item) -> Callable[[int, int], None]:
    """Says on the terminal, once a minute, how far a long run has come, with an estimate."""
    from limitpoint.views.terminal import Progress

    terminal = item.config.pluginmanager.get_plugin("terminalreporter")
    return Progress(item.name, terminal.write_line if terminal else lambda _: None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Hang the record on the report, which travels from an xdist worker to the controller."""
    report = yield
    if call.when == "call" and RECORD in item.stash:
        report.limitpoint = item.stash[RECORD]  # type: ignore[attr-defined]
        report.sections = [(name, _end_of(text)) for name, text in report.sections]
    return report


def _end_of(text: str) -> str:
    """The end of what was printed: a subject that prints at each step must not bury the summary."""
    return text if len(text) <= SHOWN else f"... {len(text) - SHOWN} characters\n{text[-SHOWN:]}"


@contextmanager
def _one_line() -> Iterator[None]:
    """Wrong usage that shows late, such as a full disk, ends the session: exit code 2."""
    try:
        yield
    except UsageError as exc:
        pytest.exit(str(exc), returncode=2)


class _Collector:
    """Gathers records in the controlling process: ledger and summary."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = getattr(report, "limitpoint", None)
        if found is not None:
            import msgspec

            from limitpoint.judgement.record import Record

            with _one_line():
                self.session.add(msgspec.convert(found, Record))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        output = getattr(node, "workeroutput", {})
        self.session.left_out += output.get(LEFT_OUT, 0)
        self.session.judged |= set(output.get(JUDGED, ()))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        nothing_left = self.session.left_out and not self.session.failed
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and nothing_left:
            session.exitstatus = pytest.ExitCode.OK
        with _one_line():
            self.session.close()
            if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                self.session.check_judged()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.session.records:
            from limitpoint.views.github import publish
            from limitpoint.views.terminal import write_summary

            failures = self.session.failures()
            write_summary(terminalreporter, self.session.records, failures)
            publish(self.session.records, failures)
            if self.session.keeper is not None:
                terminalreporter.write_line(f"ledger: {self.session.keeper.path}")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker what --resume has done."""
    node.workerinput[DONE] = [list(key) for key in node.config.stash[SESSION].done]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """An xdist worker tells what it left out as done, and which subjects it judged."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[LEFT_OUT] = session.config.stash[SESSION].left_out
        output[JUDGED] = sorted(session.config.stash[SESSION].judged)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Collect records where the session is controlled, not in its workers."""
    config = session.config
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Collector(config.stash[SESSION]), "limitpoint-collector")
