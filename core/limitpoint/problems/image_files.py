"""CIFAR-10 from the user's own copy. Nothing in a file is ever executed."""

from __future__ import annotations

import io
import lzma
import pickle
import pickletools
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limitpoint.errors import UsageError
from limitpoint.problems.images import Images, ImageSet

_CHANNEL = 32 * 32
_RECORD = 1 + 3 * _CHANNEL
_TRAIN = [f"data_batch_{i}" for i in range(1, 6)]
_TEST = "test_batch"
_LARGEST = 1 << 26  # a batch of CIFAR-10 has 31 MB
_ARCHIVE = 1 << 28  # CIFAR-10 has 186 MB
_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, ValueError)

Contents = Mapping[str, Callable[[], bytes]]


def read_cifar10(path: str | Path, *, colour: bool = False) -> ImageSet:
    """CIFAR-10 in grey or in colour, from its binary or its Python version.

    Colours become grey as Pillow's mode "L" has them (ITU-R 601-2), rounded to uint8. In colour an
    image is its planes of red, green and blue. The Python version's pickles are read without
    looking up any name in them, see `_Records`.

    Args:
        path: the folder cifar-10-batches-bin or cifar-10-batches-py, a folder that holds one of
            them, or the archive cifar-10-binary.tar.gz or cifar-10-python.tar.gz as downloaded.
        colour: 3072 pixels an image instead of 1024.

    Raises:
        UsageError: nothing there, a file missing, damaged, truncated or of another kind.

    Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images".
    """
    path = Path(path)
    files = _contents(path)
    held = {end: sum(name + end in files for name in [*_TRAIN, _TEST]) for end in (".bin", "")}
    suffix = max(held, key=lambda end: held[end])
    parse = _binary_batch if suffix else _pickled_batch
    missing = [name for name in [*_TRAIN, _TEST] if name + suffix not in files]
    if missing:
        raise UsageError(
            f"{path}: no {missing[0]}{suffix} here: give the folder or the tar.gz of CIFAR-10's "
            "binary or Python version"
        )
    batches = {}
    for name in [*_TRAIN, _TEST]:
        where = f"{path}: {name}{suffix}"
        pixels, labels = _checked(where, *parse(where, _bytes(where, files[name + suffix])))
        batches[name] = (pixels if colour else _grey(pixels), labels)
    sizes = {name: len(labels) for name, (_, labels) in batches.items()}
    short = min(sizes, key=lambda name: sizes[name])
    if sizes[short] < max(sizes.values()):
        raise UsageError(
            f"{path}: {short}{suffix} has {sizes[short]} images, others {max(sizes.values())}: "
            "truncated"
        )
    train = [batches[name] for name in _TRAIN]
    return ImageSet(
        Images(
            "CIFAR-10, train",
            np.concatenate([pixels for pixels, _ in train]),
            np.concatenate([labels for _, labels in train]),
        ),
        Images("CIFAR-10, test", *batches[_TEST]),
    )


def _contents(path: Path) -> Contents:
    """The files of a folder (and one level below), or of a tar archive, by their own name."""
    try:
        is_folder = path.is_dir()
    except OSError as error:  # a name that is too long
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    if is_folder:
        found = [p for p in sorted([*path.glob("*"), *path.glob("*/*")]) if p.is_file()]
        return {p.name: p.read_bytes for p in reversed(found)}
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    return _archived(path)


def _archived(path: Path) -> Contents:
    # Read in one go: seeking about in a gzip stream inflates it again and again.
    wanted = {name + end for name in [*_TRAIN, _TEST] for end in ("", ".bin")}
    held: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            left = _ARCHIVE
            for member in archive:
                left -= max(member.size, 0)
                if left < 0:
                    raise tarfile.TarError("larger than CIFAR-10")
                name = Path(member.name).name
                # A link is no file: what it names may be missing, or itself.
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is not None and name in wanted:
                    held[name] = stream.read(_LARGEST + 1)
    except _DAMAGED as error:
        raise UsageError(f"{path}: not a whole tar archive: {_line(error)}") from error
    return {name: lambda data=data: data for name, data in held.items()}  # type: ignore[misc]


def _bytes(where: str, read: Callable[[], bytes]) -> bytes:
    try:
        data = read()
    except UsageError:
        raise
    except _DAMAGED as error:
        raise UsageError(f"{where}: cannot be read: {_line(error)}") from error
    if len(data) > _LARGEST:
        raise UsageError(f"{where}: larger than any file of this data set")
    return data


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _checked(
    where: str, pixels: NDArray[np.uint8], labels: NDArray[Any]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    labels = labels.astype(np.int64)
    if len(labels) == 0:
        raise UsageError(f"{where}: no images")
    if labels.min() < 0 or labels.max() > 9:
        raise UsageError(f"{where}: a label outside 0..9: not a file of this data set")
    return pixels, labels


def _grey(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """ITU-R 601-2 luma in Pillow's 16-bit fixed point; planes of red, green, blue (N, 3072)."""
    red, green, blue = (
        rgb[:, i * _CHANNEL : (i + 1) * _CHANNEL].astype(np.uint32) for i in range(3)
    )
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).astype(np.uint8)


def _binary_batch(where: str, data: bytes) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    if len(data) % _RECORD:
        raise UsageError(f"{where}: {len(data)} bytes, no multiple of {_RECORD}: truncated?")
    records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
    return records[:, 1:], records[:, 0]


def _pickled_batch(where: str, data: bytes) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    try:
        _check_memo(data)
        content = _Records(io.BytesIO(data), encoding="bytes").load()
        batch = {_text(key): value for key, value in content.items()}
        pixels, labels = _array(batch["data"]), _labels(batch["labels"])
    except Exception as error:
        # Whatever a damaged pickle makes the unpickler raise.
        raise UsageError(
            f"{where}: not a batch of CIFAR-10's Python version: {_line(error)}"
        ) from error
    if pixels.ndim != 2 or pixels.shape[1] != _RECORD - 1 or labels.shape != (len(pixels),):
        raise UsageError(f"{where}: shapes {pixels.shape} and {labels.shape} are not CIFAR-10's")
    return pixels, labels


def _check_memo(data: bytes) -> None:
    """Refuse a pickle that asks for a larger memo than it can fill: there would be room for it."""
    for opcode, argument, _ in pickletools.genops(data):
        if "PUT" in opcode.name and int(argument or 0) > len(data):
            raise pickle.UnpicklingError("a memo of no use")


def _labels(values: Any) -> NDArray[np.int64]:
    if not isinstance(values, list) or any(type(value) is not int for value in values):
        raise ValueError("labels are not whole numbers")
    return np.array(values, dtype=np.int64)


class _Record:
    """What a pickle would have built: the name it calls, its arguments, its state. Inert."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str, args: tuple[Any, ...]) -> None:
        self.name = name
        self.args = args
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Name:
    """A name in a pickle; calling it makes a record and nothing else."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any) -> _Record:
        return _Record(self.name, args)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError(f"state for the name {self.name}")


class _Records(pickle.Unpickler):
    """Reads lists, dicts, strings, bytes and numbers; calls become records, nothing is imported."""

    _KNOWN = frozenset(
        [f"{core}.multiarray._reconstruct" for core in ("numpy.core", "numpy._core")]
        + [f"{core}.numeric._frombuffer" for core in ("numpy.core", "numpy._core")]
        + ["numpy.ndarray", "numpy.dtype", "_codecs.encode"]
    )

    def find_class(self, module: str, name: str) -> Any:
        """A `_Name` for what arrays are made of; UnpicklingError for any other name."""
        full = f"{module}.{name}"
        if full not in self._KNOWN:
            raise pickle.UnpicklingError(f"it asks for {full!r}")
        return _Name(name)


def _text(key: Any) -> str:
    return key if isinstance(key, str) else _raw(key).decode("ascii")


def _raw(value: Any) -> bytes:
    """Bytes, also those that Python 3 spells as Latin-1 text in protocol 2."""
    if isinstance(value, _Record) and value.name == "encode":
        text, encoding = value.args
        if encoding == "latin1":
            return str(text).encode("latin1")
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    raise ValueError("neither bytes nor text")


def _array(record: Any) -> NDArray[np.uint8]:
    """The array of unsigned bytes that a record describes."""
    if not isinstance(record, _Record):
        raise ValueError("no array of pixels")
    if record.name == "_reconstruct" and record.state is not None:
        _, shape, kind, fortran, raw = record.state
    elif record.name == "_frombuffer":
        raw, kind, shape, order = record.args
        fortran = _text(order) == "F"
    else:
        raise ValueError("no array of pixels")
    if not isinstance(kind, _Record) or kind.name != "dtype" or _text(kind.args[0]) != "u1":
        raise ValueError("pixels are not unsigned bytes")
    flat = np.frombuffer(_raw(raw), np.uint8)
    return flat.reshape([int(size) for size in shape], order="F" if fortran else "C")
