"""A pytest session as far as claims are concerned: its options, checked, and its records.

Without claims and with the options as they are by default, nothing heavy is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limitpoint.errors import UsageError
from limitpoint.judgement.seeds import parse_seeds
from limitpoint.judgement.setting import HORIZONS, Setting

if TYPE_CHECKING:
    from concurrent.futures import Future

    from limitpoint.judgement.claim import Claim
    from limitpoint.judgement.record import Record
    from limitpoint.ledger.keeper import Keeper
    from limitpoint.subjects import Subject


class Session:
    """The options of a session, and what its claims came to.

    Args:
        options: values by name, as `limitpoint.plugin` declares them.
        done: in an xdist worker the keys of the records that a resumed ledger has, else None.

    Raises:
        UsageError: an option is not as it should be.
    """

    def __init__(self, options: Mapping[str, Any], done: Sequence[Any] | None) -> None:
        self.seeds = parse_seeds(options["seeds"])
        self.horizon = options["horizon"]
        if self.horizon not in HORIZONS:
            raise UsageError(f"unknown horizon {self.horizon!r}: {' or '.join(HORIZONS)}")
        self.engine, self.device = options["engine"], options["device"]
        if (self.engine, self.device) != ("auto", "cpu"):
            from limitpoint.engines.choice import check_engine

            check_engine(self.engine, self.device)
        self.cifar10 = _cifar10(options["cifar10"])
        folder = options["checkpoints"]
        self.checkpoints = None if folder is None else Path(folder)
        limits = [
            _positive(options, "subject-timeout", "seconds"),
            _positive(options, "subject-memory", "gigabytes"),
        ]
        self.expected = _expected(options["expected-failures"])
        self.subjects = _subjects(options["subject"], *limits)
        self.cluster = options["cluster"]
        self.away: dict[tuple[str, int], Future[Record]] = {}
        self._cluster = ExitStack()
        self.allow_inconclusive = options["allow-inconclusive"]
        self.records: list[Record] = []
        #: Where the records are that a resumed ledger has of failures, which run again.
        self.failed: dict[Any, int] = {}
        self.done: set[Any] = set()
        self.left_out = 0
        #: The roles of the subjects that a claim of this session is about.
        self.judged: set[str] = set()
        self.keeper: Keeper | None = None
        if done is None:
            self._open(options["ledger"], options["resume"])
        else:  # by now the controller may write to the file that is resumed
            self.done = {tuple(key) for key in done}

    def _open(self, ledger: str | None, resumed: str | None) -> None:
        path = ledger or resumed
        if path is None:
            return
        from limitpoint.ledger import Keeper, Ledger, environment, source_digests, suite
        from limitpoint.ledger.resume import resume

        sources = source_digests(self.subjects)
        if resumed is not None:
            before = resume(Path(resumed), self.cifar10, sources)
            self.records, self.failed, self.done = before.records, before.failed, before.done
            sources = before.sources
        here = environment(self.device, self.cifar10, sources, engine=self.engine)
        self.keeper = Keeper(Ledger(suite(), here, list(self.records)), Path(path))

    def wants(self, claim: Claim, seed: int) -> bool:
        """Whether a claim is about a subject, if there are any, and has not been run yet."""
        if self.subjects:
            about = [s.role for s in self.subjects if claim.about([s.role])]
            self.judged |= set(about)
            if not about:
                return False
        from limitpoint.ledger.keys import key_for

        done = key_for(claim, self.subjects, self.setting(seed)) in self.done
        self.left_out += done
        return not done

    def check_judged(self) -> None:
        """Raise UsageError if a subject is judged by none of the selected claims."""
        for subject in self.subjects:
            if subject.role not in self.judged:
                raise UsageError(
                    f"--subject {subject.spec}: no selected claim is about the role "
                    f"{subject.role!r} (limitpoint list shows the roles)"
                )

    def add(self, record: Record) -> None:
        """Keep a record, in place of the failure that the resumed ledger has in its stead."""
        from limitpoint.ledger.keys import key_of

        place = self.failed.pop(key_of(record), None)
        if place is None:
            self.records.append(record)
        else:
            self.records[place] = record
        if self.keeper is not None:
            self.keeper.add(record, place=place)

    def send(self, runs: Iterable[tuple[Claim, int]]) -> None:
        """Hand claims, each with a seed, to the workers of the cluster that know them."""
        from limitpoint.judgement.evaluate import evaluate_elsewhere
        from limitpoint.judgement.registry import index
        from limitpoint.subjects import USUAL
        from limitpoint.workers import Workers

        workers = Workers(os.cpu_count() or 1, self.cluster)
        executor = self._cluster.enter_context(workers.executor())
        specs = [subject.spec for subject in self.subjects]
        limits = self.subjects[0].limits if specs else USUAL
        self.away = {
            (claim.id, seed): executor.submit(
                evaluate_elsewhere, claim.id, specs, limits, self.setting(seed)
            )
            for claim, seed in runs
            if claim.id in index()
        }

    def evaluate(
        self, claim: Claim, seed: int, watch: Callable[[int, int], None] | None = None
    ) -> Record:
        """The record of a claim: of the cluster, if it was handed to one."""
        if (claim.id, seed) in self.away:
            return self.away.pop((claim.id, seed)).result()
        from limitpoint.judgement.evaluate import evaluate

        return evaluate(claim, self.subjects, self.setting(seed, watch))

    def close(self) -> None:
        """Write what is there, if anything is to be written; what came before its turn, too."""
        for future in self.away.values():
            if future.done() and not future.cancelled() and future.exception() is None:
                self.add(future.result())
        self.away.clear()
        self._cluster.close()
        if self.keeper is not None:
            self.keeper.close()

    def failures(self) -> list[Record]:
        """The records that fail this run."""
        from limitpoint.ledger.expected import failures

        return failures(self.records, self.expected, allow_inconclusive=self.allow_inconclusive)

    def setting(self, seed: int, watch: Callable[[int, int], None] | None = None) -> Setting:
        """The setting of one claim."""
        return Setting(
            seed,
            self.horizon,
            self.engine,
            self.device,
            watch=watch,
            cifar10=self.cifar10,
            checkpoints=self.checkpoints,
        )


def _cifar10(path: str | None) -> Path | None:
    if path is None:
        return None
    from limitpoint.problems.image_files import read_cifar10

    read_cifar10(Path(path))
    return Path(path)


def _positive(options: Mapping[str, Any], name: str, unit: str) -> float:
    try:
        number = float(options[name])
    except ValueError:
        number = 0.0
    if not number > 0:
        raise UsageError(f"--{name} {options[name]!r}: must be a number of {unit} > 0")
    return number


def _expected(paths: Iterable[str]) -> dict[str, str]:
    if not paths:
        return {}
    from limitpoint.ledger.expected import read_expected

    expected = read_expected(map(Path, paths))
    check_known(expected)
    return expected


def check_known(expected: Iterable[str]) -> None:
    """Raise UsageError for an id that no claim has."""
    from limitpoint.judgement.registry import all_claims

    unknown = [claim_id for claim_id in expected if claim_id not in all_claims()]
    if unknown:
        raise UsageError(f"expected failures: no claim has the id {unknown[0]!r} (limitpoint list)")


def _subjects(specs: Sequence[str], timeout: float, memory: float) -> list[Subject]:
    if not specs:
        return []
    from limitpoint.subjects import Limits, parse_subject

    # The pytest script, unlike python -m pytest, does not look for modules in this folder.
    sys.path.append(str(Path.cwd()))
    found: dict[str, Subject] = {}
    for spec in specs:
        try:
            subject = parse_subject(spec, Limits(timeout, memory))
        except UsageError as exc:
            raise UsageError(f"--subject: {exc}") from None
        if subject.role in found:
            raise UsageError(f"--subject {spec}: the role {subject.role!r} is given twice")
        found[subject.role] = subject
    return list(found.values())
