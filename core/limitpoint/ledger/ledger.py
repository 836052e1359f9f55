"""The ledger: one JSON document, schema 1, that a run of the claims leaves behind."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import platform
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from limitpoint.errors import UsageError

if TYPE_CHECKING:
    from limitpoint.judgement.claim import Claim, Outcome, Setting
    from limitpoint.subjects import Subject

SCHEMA = 1
FIELDS = (
    "id", "source", "statement", "kind", "roles", "subject", "seed", "engine", "device",
    "horizon", "verdict", "reason", "evidence", "seconds", "reproduce",
)  # fmt: skip


#: Verdicts that fail a run.
FAILED = frozenset({"refuted", "inconclusive"})
STAND_INS = "stand-ins"


def environment(
    device: str = "cpu", cifar10: Path | None = None, sources: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What the numbers may depend on: python, torch, numpy, cpu, threads, device, images, sources.

    Args:
        device: "cpu" or "cuda".
        cifar10: the user's copy of CIFAR-10, or None for stand-ins.
        sources: of `source_digests`.
    """
    import torch

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "cpu": _cpu_name(),
        "threads": 1,  # claims run single-threaded: see limitpoint.judgement.claim.single_thread
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "images": images(cifar10),
        **({"sources": dict(sources)} if sources else {}),
    }


def images(cifar10: Path | None) -> str:
    """Which images the claims about images see: the user's CIFAR-10, by its path, or stand-ins."""
    return STAND_INS if cifar10 is None else str(cifar10.resolve())


def source_digest(subject: Callable[..., Any]) -> str | None:
    """A digest of the file that defines a class or function; None where there is no such file."""
    try:
        file = inspect.getsourcefile(subject)
    except (TypeError, OSError):  # a built-in, or typed in at a prompt
        return None
    if file is None or not Path(file).is_file():
        return None
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]


def source_digests(subjects: Iterable[Subject]) -> dict[str, str]:
    """`source_digest` of each subject that has one, by what the command line calls it."""
    found = {subject.spec: source_digest(subject.constructor) for subject in subjects}
    return {spec: digest for spec, digest in found.items() if digest}


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def suite() -> dict[str, Any]:
    """Version of limitpoint, and the commit when it runs from a checkout."""
    try:
        installed = version("limitpoint")
    except PackageNotFoundError:
        installed = "unknown"
    return {"version": installed, "commit": _commit()}


def _commit(file: Path = Path(__file__)) -> str | None:
    """The commit of the repository that tracks a file: one around an environment does not."""
    here = file.resolve()
    try:
        _git(here.parent, "ls-files", "--error-unmatch", here.name)
        return _git(here.parent, "rev-parse", "--short=12", "HEAD")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    return found.stdout.strip()


def make_record(claim: Claim, setting: Setting, outcome: Outcome) -> dict[str, Any]:
    """The ledger's record of one claim under one setting."""
    return {
        "id": claim.id,
        "source": claim.source,
        "statement": claim.statement,
        "kind": claim.kind,
        "erratum": asdict(claim.erratum) if claim.erratum else None,
        "roles": list(claim.roles),
        "subject": _played(claim, setting),
        "seed": setting.seed,
        "seeded": claim.seeded,
        "engine": setting.engine,
        "device": setting.device,
        "horizon": setting.horizon,
        "verdict": outcome.verdict,
        "reason": outcome.reason,
        "evidence": [evidence.as_dict() for evidence in outcome.evidence],
        "seconds": round(outcome.seconds, 3),
        "reproduce": reproduce(claim, setting),
    }


Key = tuple[str, int | None, str, str, str, str | None]


def key_of(record: Mapping[str, Any]) -> Key:
    """What tells a record from those of other claims and settings."""
    return (
        record["id"],
        record["seed"] if record.get("seeded", True) else None,
        record["engine"],
        record["device"],
        record["horizon"],
        record["subject"],
    )


def key_for(claim: Claim, setting: Setting) -> Key:
    """The key of the record that a claim would have under a setting."""
    here, seed = setting, setting.seed if claim.seeded else None
    return (claim.id, seed, here.engine, here.device, here.horizon, _played(claim, setting))


def _played(claim: Claim, setting: Setting) -> str | None:
    specs = [spec for role, spec in setting.specs.items() if role in claim.roles]
    return "; ".join(specs) or None


def reproduce(claim: Claim, setting: Setting) -> str:
    """A command to paste that runs the claim again under the same setting."""
    installed = (Path(__file__).parents[1] / "claims").exists()
    where = ["--pyargs", "limitpoint.claims"] if installed else ["claims/"]
    words = ["pytest", *where, "-k", claim.id, "--seeds", str(setting.seed)]
    for name, usual in (("horizon", "quick"), ("engine", "auto"), ("device", "cpu")):
        value = getattr(setting, name)
        words += [f"--{name}", value] if value != usual else []
    words += ["--cifar10", str(setting.cifar10)] if setting.cifar10 else []
    for role, spec in setting.specs.items():
        words += ["--subject", spec] if role in claim.roles else []
    return shlex.join(words)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A file in the folder of another, for as long as it takes to write it.

    Raises:
        UsageError: there is no writing there.
    """
    if path.is_dir():
        raise UsageError(f"{path}: cannot be written (it is a folder; give a file name)")
    part = path.with_name(path.name + f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
    except FileExistsError:
        raise UsageError(f"{path}: cannot be written (its folder is a file)") from None
    except OSError as exc:
        raise UsageError(f"{path}: cannot be written ({exc.strerror})") from None
    finally:
        with suppress(OSError):
            part.unlink()


def check_writable(path: Path) -> None:
    """Raise UsageError unless a file can be written there; one that is there stays as it is."""
    with _beside(path) as part:
        part.touch()


def write_text(text: str, path: Path) -> None:
    """Replace a file in one step: an interruption leaves a whole text, old or new.

    Raises:
        UsageError: it cannot be written.
    """
    with _beside(path) as part:
        part.write_text(text, encoding="utf-8")
        part.replace(path)


def write_json(document: Mapping[str, Any], path: Path) -> None:
    """Replace a file with a JSON document; see `write_text`."""
    write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", path)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"JSON has no {text}")


def read_json(path: Path, kind: str, schema: int) -> dict[str, Any]:
    """The document that `write_json` wrote.

    Raises:
        UsageError: no such file, no JSON, or another schema.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except OSError as exc:
        raise UsageError(f"{kind} {path}: cannot be read ({exc.strerror})") from None
    except ValueError:
        raise UsageError(f"{kind} {path}: not a JSON document") from None
    if not isinstance(document, dict) or document.get("schema") != schema:
        raise UsageError(f"{kind} {path}: not a limitpoint {kind} of schema {schema}")
    return document


@dataclass
class Ledger:
    """Records of claims, and where to keep them."""

    suite: dict[str, Any] = field(default_factory=suite)
    environment: dict[str, Any] = field(default_factory=environment)
    claims: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The JSON document."""
        return {
            "schema": SCHEMA,
            "suite": self.suite,
            "environment": self.environment,
            "claims": self.claims,
        }

    def write(self, path: Path) -> None:
        """Replace the file in one step: an interrupted run leaves a whole ledger, old or new."""
        write_json(self.as_dict(), path)

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Read a ledger.

        Raises:
            UsageError: no such file, no JSON, another schema, or a record without its fields.
        """
        document = read_json(path, "ledger", SCHEMA)
        for name, kind in (("suite", dict), ("environment", dict), ("claims", list)):
            if not isinstance(document.get(name), kind):
                raise UsageError(f"ledger {path}: lacks {name!r}, or it is no {kind.__name__}")
        for number, record in enumerate(document["claims"]):
            wrong = _what_is_wrong(record)
            if wrong:
                raise UsageError(f"ledger {path}: record {number} {wrong}")
        return cls(document["suite"], document["environment"], document["claims"])


KINDS = {"id": str, "seed": int, "seeded": bool, "evidence": list, "reason": str}


def _what_is_wrong(record: object) -> str:
    from limitpoint.judgement.claim import VERDICTS

    if not isinstance(record, dict):
        return "is no object"
    missing = [name for name in FIELDS if name not in record]
    if missing:
        return f"lacks {missing[0]!r}"
    for name, kind in KINDS.items():
        if not isinstance(record.get(name, True), kind):
            return f"has a {name!r} that is no {kind.__name__}"
    if record["verdict"] not in VERDICTS:
        return f"has the verdict {record['verdict']!r}, not one of {', '.join(VERDICTS)}"
    if not all(isinstance(e, dict) and {"quantity", "slack"} <= set(e) for e in record["evidence"]):
        return "has evidence without 'quantity' or 'slack'"
    if not all(isinstance(e["slack"], float | int | None) for e in record["evidence"]):
        return "has evidence with a 'slack' that is no number"
    return ""


class Keeper:
    """Writes a ledger as it grows, at most a twentieth of the time.

    Args:
        ledger: may have records already.
        path: of the file.

    Raises:
        UsageError: the file cannot be written, now or later.
    """

    SHARE = 1 / 20

    def __init__(self, ledger: Ledger, path: Path) -> None:
        check_writable(path)
        self.ledger, self.path = ledger, path
        self.due = -float("inf")

    def add(self, record: dict[str, Any], *, instead_of: dict[str, Any] | None = None) -> None:
        """Append a record; write unless the last time was a moment ago.

        Args:
            record: to append.
            instead_of: one to take out.
        """
        if instead_of is not None:
            self.ledger.claims.remove(instead_of)
        self.ledger.claims.append(record)
        if time.monotonic() >= self.due:
            self.flush()

    def flush(self) -> None:
        """Write now."""
        started = time.monotonic()
        self.ledger.write(self.path)
        ended = time.monotonic()
        self.due = ended + (ended - started) / self.SHARE

    def close(self) -> None:
        """Order the records by id and seed, whatever worker was faster, and write."""
        self.ledger.claims.sort(key=lambda record: (record["id"], record["seed"]))
        self.flush()


def papers(records: Sequence[dict[str, Any]]) -> list[str]:
    """The papers in order of appearance."""
    return list(dict.fromkeys(record["id"].partition("/")[0] for record in records))
