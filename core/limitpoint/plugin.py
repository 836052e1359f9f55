"""pytest plugin: claims as tests, verdicts as outcomes, a ledger and a summary.

Loaded in every pytest session where limitpoint is installed, so nothing heavy is imported before
a claim is collected.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from limitpoint.errors import UsageError

if TYPE_CHECKING:
    from limitpoint.judgement.claim import Claim, Outcome, Setting
    from limitpoint.ledger import Keeper, Key

OPTIONS = pytest.StashKey["Options"]()
DONE = "limitpoint-done"
LEFT_OUT = "limitpoint-left-out"
DEVICE = "limitpoint_device"  # of its own: a conftest.py may well have an option --device
SHOWN = 2000  # characters of what a claim printed


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of DESIGN.md. Values are checked in `Options`, so that each mistake exits 2."""
    group = parser.getgroup("limitpoint", "limitpoint: claims about optimizers")
    group.addoption(
        "--subject", action="append", default=[], metavar="ROLE=MODULE:ATTR[,key=value...]",
        help="run somebody else's optimizer in a role; only claims with that role run (repeatable)",
    )  # fmt: skip
    group.addoption("--subject-timeout", default="120", metavar="SECONDS",
                    help="time limit of a subject in one run (default 120)")  # fmt: skip
    group.addoption("--subject-memory", default="4", metavar="GIGABYTES",
                    help="what the process may gain in a subject's run (default 4)")  # fmt: skip
    group.addoption("--engine", default="auto", help="auto, torch or fused (default auto)")
    group.addoption(
        "--seeds", default="42", metavar="SPEC", help="42, 0-19 or 1,5,7-9 (default 42)"
    )
    group.addoption("--horizon", default="quick", help="quick or full (default quick)")
    group.addoption("--cifar10", default=None, metavar="PATH",
                    help="your CIFAR-10, folder or tar.gz, instead of stand-ins")  # fmt: skip
    group.addoption("--checkpoints", default=None, metavar="FOLDER",
                    help="where runs of minutes keep their state, to go on from")  # fmt: skip
    group.addoption("--ledger", default=None, metavar="PATH", help="write the JSON ledger here")
    group.addoption(
        "--expected-failures", action="append", default=[], metavar="FILE",
        help="TOML of claims known to fail, each with a reason (repeatable)",
    )  # fmt: skip
    group.addoption(
        "--resume", default=None, metavar="LEDGER",
        help="keep what an interrupted run of this commit has done, and go on; "
        "into the same file unless --ledger names another",
    )  # fmt: skip
    group.addoption("--allow-inconclusive", action="store_true",
                    help="skip inconclusive claims instead of failing them")  # fmt: skip


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(parser: pytest.Parser) -> Generator[None]:
    """Add --device, unless a conftest.py or another plugin has an option of that name."""
    result = yield
    groups = [parser._anonymous, *parser._groups]  # pytest has no public list of its options
    if not any("--device" in option.names() for group in groups for option in group.options):
        group = parser.getgroup("limitpoint")
        group.addoption("--device", dest=DEVICE, default="cpu", help="cpu or cuda (default cpu)")
    return result


class Options:
    """The options, checked."""

    def __init__(self, config: pytest.Config) -> None:
        from limitpoint.judgement.seeds import parse_seeds
        from limitpoint.ledger.expected import read_expected

        self.seeds = parse_seeds(config.getoption("--seeds"))
        self.horizon = config.getoption("--horizon")
        if self.horizon not in ("quick", "full"):
            raise UsageError(f"unknown horizon {self.horizon!r}: quick or full")
        self.engine = config.getoption("--engine")
        self.device = config.getoption(DEVICE, "cpu")
        if (self.engine, self.device) != ("auto", "cpu"):
            from limitpoint.engines.run import check_engine

            check_engine(self.engine, self.device)
        self.cifar10 = _cifar10(config.getoption("--cifar10"))
        checkpoints = config.getoption("--checkpoints")
        self.checkpoints = None if checkpoints is None else Path(checkpoints)
        self.timeout = _positive(config, "--subject-timeout", "seconds")
        self.memory = _positive(config, "--subject-memory", "gigabytes")
        self.expected = read_expected(Path(p) for p in config.getoption("--expected-failures"))
        if self.expected:
            _check_expected(self.expected)
        self.subject_specs: dict[str, str] = {}
        self.subjects: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self._read_subjects(config.getoption("--subject"))
        self.allow_inconclusive = config.getoption("--allow-inconclusive")
        self.records: list[dict[str, Any]] = []
        self.done: set[Key] = set()
        self.failed: dict[Key, dict[str, Any]] = {}
        self.left_out = 0
        self._resume(config)
        self.keeper = self._keeper(config)

    def _read_subjects(self, specs: list[str]) -> None:
        if not specs:
            return
        from limitpoint.ledger import source_digests
        from limitpoint.subjects import parse_subject

        # The pytest script, unlike python -m pytest, does not look for modules in this folder.
        sys.path.append(str(Path.cwd()))
        for spec in specs:
            subject = parse_subject(spec)
            if subject.role in self.subjects:
                raise UsageError(f"--subject {spec}: the role {subject.role!r} is given twice")
            self.subject_specs[subject.role] = spec
            self.subjects[subject.role] = partial(subject.factory, memory=self.memory)
            self.sources |= source_digests([subject])

    def _keeper(self, config: pytest.Config) -> Keeper | None:
        path = config.getoption("--ledger") or config.getoption("--resume")
        if path is None or hasattr(config, "workerinput"):
            return None
        from limitpoint.ledger import Keeper, Ledger, environment

        here = environment(self.device, self.cifar10, self.sources)
        return Keeper(Ledger(environment=here, claims=list(self.records)), Path(path))

    def _resume(self, config: pytest.Config) -> None:
        path = config.getoption("--resume")
        if path is None:
            return
        if hasattr(config, "workerinput"):  # by now the controller may write to that file
            self.done = {tuple(key) for key in config.workerinput[DONE]}
            return
        from limitpoint.ledger import FAILED, STAND_INS, Ledger, images, key_of, suite

        ledger = Ledger.read(Path(path))
        if ledger.suite != suite():
            raise UsageError(f"--resume {path}: is of another version or commit, start afresh")
        then, now = ledger.environment.get("images", STAND_INS), images(self.cifar10)
        if then != now:
            raise UsageError(f"--resume {path}: its images were {then}, now {now}: see --cifar10")
        self._resume_sources(ledger.environment.get("sources", {}), path)
        self.records = ledger.claims
        self.failed = {key_of(r): r for r in self.records if r["verdict"] in FAILED}
        self.done = {key_of(record) for record in self.records} - self.failed.keys()

    def _resume_sources(self, then: dict[str, str], path: str) -> None:
        for spec, digest in self.sources.items():
            if then.get(spec, digest) != digest:
                raise UsageError(f"--resume {path}: the source of {spec} has changed, start afresh")
        self.sources = then | self.sources

    def add(self, record: dict[str, Any]) -> None:
        """Keep a record, in place of the failure that the resumed ledger has in its stead."""
        from limitpoint.ledger import key_of

        old = self.failed.pop(key_of(record), None)
        if old is not None:
            self.records.remove(old)
        self.records.append(record)
        if self.keeper is not None:
            self.keeper.add(record, instead_of=old)

    def failures(self) -> list[dict[str, Any]]:
        """The records that fail this run."""
        from limitpoint.ledger.expected import failures

        return failures(self.records, self.expected, allow_inconclusive=self.allow_inconclusive)

    def is_done(self, claim: Claim, seed: int) -> bool:
        """Whether the ledger that is resumed has this claim under this setting."""
        if not self.done:
            return False
        from limitpoint.ledger import key_for

        return key_for(claim, self.setting(seed)) in self.done

    def setting(self, seed: int) -> Setting:
        """The setting of one claim."""
        from limitpoint.judgement.claim import Setting

        return Setting(
            seed=seed,
            horizon=self.horizon,
            engine=self.engine,
            device=self.device,
            subjects=self.subjects,
            specs=self.subject_specs,
            timeout=self.timeout,
            cifar10=self.cifar10,
            checkpoints=self.checkpoints,
        )


def _cifar10(path: str | None) -> Path | None:
    if path is None:
        return None
    from limitpoint.problems.image_files import read_cifar10

    read_cifar10(Path(path))
    return Path(path)


def _positive(config: pytest.Config, option: str, unit: str) -> float:
    text = config.getoption(option)
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not number > 0:
        raise UsageError(f"{option} {text!r}: must be a number of {unit} > 0")
    return number


def _check_expected(expected: dict[str, str]) -> None:
    from limitpoint.judgement.registry import all_claims

    unknown = [claim_id for claim_id in expected if claim_id not in all_claims()]
    if unknown:
        raise UsageError(f"expected failures: no claim has the id {unknown[0]!r} (limitpoint list)")


def pytest_configure(config: pytest.Config) -> None:
    """Check the options once; a mistake is one line and exit code 2."""
    try:
        config.stash[OPTIONS] = Options(config)
    except UsageError as exc:
        pytest.exit(str(exc), returncode=2)


def _claim_of(item: object) -> Claim | None:
    return getattr(getattr(item, "function", None), "claim", None)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a seed; one in all of a claim that does not read it."""
    claim: Claim | None = getattr(metafunc.function, "claim", None)
    if claim is not None:
        seeds = claim.seeds(metafunc.config.stash[OPTIONS].seeds)
        metafunc.parametrize("trial", seeds, indirect=True, ids=[f"seed{s}" for s in seeds])


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> int:
    """The seed; the plugin makes a `limitpoint.Trial` of it when it runs the claim."""
    seed: int = request.param
    return seed


def pytest_itemcollected(item: pytest.Item) -> None:
    """A claim answers to its id under -k."""
    claim = _claim_of(item)
    if claim is not None:
        item.extra_keyword_matches.add(claim.id)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of what -k selects, leave out what --resume has done, and claims about no subject's role."""
    options = config.stash[OPTIONS]
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        (kept if _wanted(item, options) else dropped).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def _wanted(item: pytest.Item, options: Options) -> bool:
    claim = _claim_of(item)
    if claim is None:
        return True
    if options.subjects and not claim.about(options.subjects):
        return False
    seed: int = item.callspec.params["trial"]  # type: ignore[attr-defined]
    done = options.is_done(claim, seed)
    options.left_out += done
    return not done


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a claim and turn its verdict into an outcome."""
    claim = _claim_of(pyfuncitem)
    if claim is None:
        return None
    from limitpoint.ledger import make_record

    options = pyfuncitem.config.stash[OPTIONS]
    seed: Any = pyfuncitem.funcargs["trial"]
    setting = options.setting(seed)
    if options.checkpoints is not None:
        setting = replace(setting, watch=_reporter(pyfuncitem))
    outcome = claim.evaluate(setting)
    record = make_record(claim, setting, outcome)
    pyfuncitem.stash[RECORD] = record
    pyfuncitem.user_properties += [
        ("claim", claim.id),
        ("source", claim.source),
        ("verdict", outcome.verdict),
        *[("evidence", str(evidence)) for evidence in outcome.evidence],
    ]
    _conclude(record, outcome, options)
    return True


def _reporter(item: pytest.Function) -> Callable[[int, int], None]:
    """Says on the terminal, once a minute, how far a long run has come, with an estimate."""
    from limitpoint.views.terminal import Progress

    terminal = item.config.pluginmanager.get_plugin("terminalreporter")
    return Progress(item.name, terminal.write_line if terminal else lambda _: None)


RECORD = pytest.StashKey[dict[str, Any]]()


def _conclude(record: dict[str, Any], outcome: Outcome, options: Options) -> None:
    expected = options.expected.get(record["id"])
    text = f"{record['id']} is {outcome.verdict}: {outcome.reason}\n  {record['reproduce']}"
    if outcome.verdict == "not-applicable":
        pytest.skip(outcome.reason)
    if expected is not None and outcome.verdict == "supported":
        pytest.fail(f"{record['id']} passes although expected to fail: {expected}", pytrace=False)
    if expected is not None:
        pytest.xfail(f"{outcome.reason} (expected: {expected})")
    if outcome.verdict == "inconclusive" and options.allow_inconclusive:
        pytest.skip(f"inconclusive: {outcome.reason}")
    if outcome.verdict != "supported":
        pytest.fail(text, pytrace=False)


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
def _writing() -> Iterator[None]:
    """A ledger that can no longer be written ends the session: one line and exit code 2."""
    try:
        yield
    except UsageError as exc:
        pytest.exit(str(exc), returncode=2)


class _Collector:
    """Gathers records in the controlling process: ledger and summary."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        record = getattr(report, "limitpoint", None)
        if record is not None:
            with _writing():
                self.options.add(record)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.options.left_out += getattr(node, "workeroutput", {}).get(LEFT_OUT, 0)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        nothing_left = self.options.left_out and not self.options.failed
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and nothing_left:
            session.exitstatus = pytest.ExitCode.OK
        if self.options.keeper is not None:
            with _writing():
                self.options.keeper.close()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.options.records:
            from limitpoint.views.github import publish
            from limitpoint.views.terminal import write_summary

            failures = self.options.failures()
            write_summary(terminalreporter, self.options.records, failures)
            publish(self.options.records, failures)
            if self.options.keeper is not None:
                terminalreporter.write_line(f"ledger: {self.options.keeper.path}")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker what --resume has done."""
    node.workerinput[DONE] = list(node.config.stash[OPTIONS].done)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """An xdist worker tells how many claims it left out as done."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[LEFT_OUT] = session.config.stash[OPTIONS].left_out


def pytest_sessionstart(session: pytest.Session) -> None:
    """Collect records where the session is controlled, not in its workers."""
    config = session.config
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Collector(config.stash[OPTIONS]), "limitpoint-collector")
