"""Files that are whole whatever happens, and documents that are what they should be."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from limitpoint.errors import UsageError, readable

Document = TypeVar("Document", bound=msgspec.Struct)


class _About(msgspec.Struct):
    """What every document says of itself."""

    schema: int | None = None


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A file in the folder of another, for as long as it takes to write it.

    Raises:
        UsageError: there is no writing there.
    """
    part = path.parent / f"{path.name}.{os.getpid()}.part"
    try:
        if path.is_dir():
            raise UsageError(f"{path}: cannot be written (it is a folder; give a file name)")
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


def write_pieces(pieces: Iterable[bytes], path: Path) -> None:
    """Replace a file in one step: an interruption leaves a whole one, old or new.

    Raises:
        UsageError: it cannot be written.
    """
    with _beside(path) as part:
        with part.open("wb") as file:
            file.writelines(pieces)
        part.replace(path)


def write_text(text: str, path: Path) -> None:
    """Replace a file with a text; see `write_pieces`."""
    write_pieces([text.encode()], path)


def encoded(document: object) -> bytes:
    """A JSON document on one line."""
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:  # somewhere in it is the name of a file that the locale cannot say
        return msgspec.json.encode(_readable(msgspec.to_builtins(document)))


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, dict):
        return {_readable(name): _readable(inner) for name, inner in value.items()}
    return [_readable(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def indented(document: object) -> bytes:
    """A JSON document as a person reads it."""
    return msgspec.json.format(encoded(document), indent=1)


def write_document(document: object, path: Path) -> None:
    """Replace a file with a JSON document; see `write_pieces`."""
    write_pieces([indented(document), b"\n"], path)


def read_document(path: Path, kind: str, schema: int, form: type[Document]) -> Document:
    """The document that `write_document` wrote.

    Args:
        path: of the file.
        kind: what it is called in a message, such as "ledger".
        schema: the number that its field "schema" has.
        form: its type.

    Raises:
        UsageError: no such file, no JSON, another schema, or anything else than the type says.
    """
    try:
        data = path.read_bytes()
        about = msgspec.json.decode(data, type=_About)
    except OSError as exc:
        raise UsageError(f"{kind} {path}: cannot be read ({exc.strerror})") from None
    except msgspec.ValidationError:
        about = _About()
    except (ValueError, msgspec.DecodeError, RecursionError) as exc:
        raise UsageError(f"{kind} {path}: not a JSON document ({exc})") from None
    if about.schema != schema:
        raise UsageError(f"{kind} {path}: not a limitpoint {kind} of schema {schema}")
    try:
        return msgspec.json.decode(data, type=form)
    except (ValueError, msgspec.DecodeError, RecursionError) as exc:
        raise UsageError(f"{kind} {path}: {exc}") from None
