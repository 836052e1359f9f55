"""Where numbers come from: the suite, the machine, and the sources of the subjects."""

from __future__ import annotations

import hashlib
import inspect
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import msgspec

from limitpoint.errors import readable

STAND_INS = "stand-ins"
#: The packages that numbers may depend on.
PACKAGES = ("torch", "numpy", "scipy", "numba", "triton", "cvxpy", "clarabel")


class Suite(msgspec.Struct, frozen=True):
    """Version of limitpoint, and the commit when it runs from a checkout."""

    version: str = "unknown"
    commit: str | None = None


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What the numbers may depend on.

    Args:
        python, torch, numpy, scipy, numba, triton, cvxpy, clarabel: versions; "" if not installed.
        cpu: the processor.
        vector: the widest instructions that torch uses on it, such as "AVX2".
        threads: of the compiled engine.
        torch_threads: of torch.
        device: where the steps were taken.
        images: the user's CIFAR-10, or stand-ins.
        sources: a digest of the file of each subject that has one.
    """

    python: str = ""
    torch: str = ""
    numpy: str = ""
    scipy: str = ""
    numba: str = ""
    triton: str = ""
    cvxpy: str = ""
    clarabel: str = ""
    cpu: str = ""
    vector: str = ""
    threads: int = 0
    torch_threads: int = 0
    device: str = ""
    images: str = STAND_INS
    sources: dict[str, str] = {}


def environment(
    device: str = "cpu",
    cifar10: Path | None = None,
    sources: Mapping[str, str] | None = None,
    *,
    engine: str = "auto",
) -> Environment:
    """What the numbers of this process may depend on.

    Args:
        device: "cpu" or "cuda".
        cifar10: the user's copy of CIFAR-10, or None for stand-ins.
        sources: of `source_digests`.
        engine: that is asked for.
    """
    import torch  # whoever reads a ledger does without

    from limitpoint.engines.cpu import threads

    return Environment(
        **{name: installed for name in PACKAGES if (installed := _version(name))},
        python=platform.python_version(),
        cpu=_cpu_name(),
        vector=torch.backends.cpu.get_cpu_capability(),
        threads=1 if engine == "torch" else threads(),
        torch_threads=1,  # see limitpoint.judgement.evaluate.single_thread
        device=torch.cuda.get_device_name() if device == "cuda" else "cpu",
        images=images(cifar10),
        sources=dict(sources or {}),
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def images(cifar10: Path | None) -> str:
    """Which images the claims about images see: the user's CIFAR-10, by its path, or stand-ins."""
    return STAND_INS if cifar10 is None else readable(str(cifar10.resolve()))


class Sourced(Protocol):
    """A subject: what is called, and what the command line calls it."""

    @property
    def spec(self) -> str:
        """On the command line."""

    @property
    def constructor(self) -> Callable[..., Any]:
        """What is called."""


def source_digest(constructor: Callable[..., Any]) -> str | None:
    """A digest of the file that defines a class or function; None where there is no such file."""
    try:
        file = inspect.getsourcefile(constructor)
    except (TypeError, OSError):  # a built-in, or typed in at a prompt
        return None
    if file is None or not Path(file).is_file():
        return None
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]


def source_digests(subjects: Iterable[Sourced]) -> dict[str, str]:
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


def suite() -> Suite:
    """The suite that runs."""
    return Suite(_version("limitpoint") or "unknown", commit())


def commit(file: Path = Path(__file__)) -> str | None:
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
