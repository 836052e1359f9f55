"""What has come since a document was written: a file beside it, a line each."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from limitpoint.errors import UsageError
from limitpoint.ledger.files import check_writable, encoded

if sys.platform != "win32":
    import fcntl

Entry = TypeVar("Entry", bound=msgspec.Struct)


def journal_of(document: Path) -> Path:
    """The journal's place."""
    return document.parent / f"{document.name}.journal"


class Journal:
    """What has come since a document was written whole; one process at a time holds it.

    A line is with the system when `add` returns: the process may be killed, and nothing is lost.

    Args:
        document: the path of the document.

    Raises:
        UsageError: it cannot be written, now or later, or another process is writing it.
    """

    def __init__(self, document: Path) -> None:
        check_writable(document)
        self.document, self.path = document, journal_of(document)
        self._file = self._held()

    def _held(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        while True:
            try:
                file = os.open(self.path, flags, 0o666)
            except OSError as exc:
                raise UsageError(f"{self.path}: cannot be written ({exc.strerror})") from None
            if not _locked(file):
                os.close(file)
                raise UsageError(f"{self.document}: another run is writing it")
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), self.path.stat()):
                    return file
            os.close(file)  # the run that had it has just removed it

    def add(self, entry: msgspec.Struct) -> None:
        """Keep one more."""
        line = encoded(entry) + b"\n"
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError as exc:
            raise UsageError(f"{self.path}: cannot be written ({exc.strerror})") from None

    def clear(self) -> None:
        """Forget what is there: the document has it now."""
        os.truncate(self._file, 0)

    def close(self) -> None:
        """Remove the file: the document has everything."""
        self.path.unlink(missing_ok=True)
        os.close(self._file)


def _locked(file: int) -> bool:
    """Whether no other process holds the file; true where locks are unknown.

    Not inherited: a subject's process that outlives a killed run holds nothing.
    """
    if sys.platform == "win32":
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        return exc.errno not in (errno.EACCES, errno.EAGAIN)
    return True


def since(document: Path, form: type[Entry]) -> list[Entry]:
    """What the journal of a document holds; the last line may have been cut.

    Raises:
        UsageError: it cannot be read, or a line of it is no such entry.
    """
    path = journal_of(document)
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise UsageError(f"{path}: cannot be read ({exc.strerror})") from None
    try:
        return [msgspec.json.decode(line, type=form) for line in lines]
    except (ValueError, msgspec.DecodeError, RecursionError) as exc:
        raise UsageError(f"{path}: a line of it is none ({exc}): remove it") from None
