"""Image files are read in their true formats, and a bad one is one clear line."""

import pickle
import struct
import tarfile

import numpy as np
import pytest

from limitpoint.errors import UsageError
from limitpoint.problems.image_files import read_cifar10
from limitpoint.problems.images import spectral_images, upscaled_digits

NAMES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
COUNT = 20


@pytest.fixture
def batches():
    rng = np.random.default_rng(0)
    return {
        name: (rng.integers(0, 256, (COUNT, 3072), dtype=np.uint8), np.arange(COUNT) % 10)
        for name in NAMES
    }


def binary(pixels, labels):
    return np.concatenate([labels[:, None].astype(np.uint8), pixels], axis=1).tobytes()


def short_string(text):
    """What Python 2 wrote for a str: SHORT_BINSTRING, or BINSTRING from 256 bytes on."""
    if len(text) < 256:
        return b"U" + bytes([len(text)]) + text
    return b"T" + struct.pack("<i", len(text)) + text


def python_2_pickle(pixels, labels):
    """The opcodes of the published files: protocol 2, byte strings, numpy.core.multiarray."""
    numpy_array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        + b"(K\x01M"
        + struct.pack("<H", len(pixels))
        + b"M\x00\x0c\x86cnumpy\ndtype\n"
        + b"U\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + b"\x89"
        + short_string(pixels.tobytes())
        + b"tb"
    )
    numbers = b"".join(b"K" + bytes([label]) for label in labels)
    items = (
        short_string(b"batch_label") + short_string(b"training batch 1 of 5")
        + short_string(b"labels") + b"](" + numbers + b"e"
        + short_string(b"data") + numpy_array
    )  # fmt: skip
    return b"\x80\x02}(" + items + b"u."


def python_3_pickle(protocol):
    def dump(pixels, labels):
        content = {b"data": pixels, b"labels": labels.tolist(), b"batch_label": b"x"}
        return pickle.dumps(content, protocol=protocol)

    return dump


def write(folder, batches, dump, suffix=""):
    folder.mkdir(parents=True)
    for name, batch in batches.items():
        (folder / (name + suffix)).write_bytes(dump(*batch))


def expected_grey(rgb):
    from PIL import Image

    picture = rgb.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.stack([np.asarray(Image.fromarray(p).convert("L")).ravel() for p in picture])


def check(images, batches):
    assert images.train.pixels.shape == (5 * COUNT, 1024)
    assert np.array_equal(images.train.pixels[:COUNT], expected_grey(batches["data_batch_1"][0]))
    assert np.array_equal(images.test.pixels, expected_grey(batches["test_batch"][0]))
    assert np.array_equal(images.test.labels, batches["test_batch"][1])


@pytest.mark.parametrize(
    ("dump", "suffix"),
    [
        (binary, ".bin"),
        (python_2_pickle, ""),
        *[(python_3_pickle(protocol), "") for protocol in range(2, 6)],
    ],
    ids=["binary", "python-2", *[f"python-3-protocol-{p}" for p in range(2, 6)]],
)
@pytest.mark.parametrize("form", ["folder", "parent", "tar.gz"])
def test_cifar10_is_read_in_each_form(tmp_path, batches, dump, suffix, form):
    folder = tmp_path / "home" / "cifar-10-batches"
    write(folder, batches, dump, suffix)
    path = {"folder": folder, "parent": folder.parent}.get(form)
    if path is None:
        path = tmp_path / "cifar-10.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, "cifar-10-batches")
    check(read_cifar10(path), batches)


def test_the_python_2_pickle_is_what_python_reads(batches):
    pixels, labels = batches["test_batch"]
    content = pickle.loads(python_2_pickle(pixels, labels), encoding="bytes")
    assert np.array_equal(content[b"data"], pixels)
    assert content[b"labels"] == labels.tolist()


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("where", ["whole", "value", "state"])
def test_a_pickle_that_would_run_code_is_refused(tmp_path, batches, where):
    folder, mark = tmp_path / "py", tmp_path / "mark"
    write(folder, batches, python_2_pickle)
    evil = Malicious(mark)
    content = {"whole": evil, "value": {b"data": evil, b"labels": [1]}}.get(where)
    data = pickle.dumps(content) if content is not None else b"cnumpy\ndtype\n}b."
    (folder / "data_batch_3").write_bytes(data)
    with pytest.raises(UsageError, match="data_batch_3: not a batch"):
        read_cifar10(folder)
    assert not mark.exists()


def spoil(data, how):
    return {
        "truncated": data[: len(data) // 2 + 1],
        "empty": b"",
        "noise": np.random.default_rng(1).bytes(2000),
        "text": b"<html>404 not found</html>",
    }[how]


@pytest.mark.parametrize("how", ["truncated", "empty", "noise", "text"])
@pytest.mark.parametrize(("dump", "suffix"), [(binary, ".bin"), (python_2_pickle, "")])
def test_a_spoiled_batch_is_one_line(tmp_path, batches, dump, suffix, how):
    folder = tmp_path / "cifar"
    write(folder, batches, dump, suffix)
    target = folder / f"data_batch_2{suffix}"
    target.write_bytes(spoil(target.read_bytes(), how))
    with pytest.raises(UsageError, match=r"data_batch_2") as caught:
        read_cifar10(folder)
    assert "\n" not in str(caught.value)


def test_a_pickle_of_other_pixels_is_refused(tmp_path, batches):
    write(tmp_path / "py", batches, python_3_pickle(4))
    for wrong in (np.zeros((COUNT, 3072)), np.zeros((COUNT, 7), np.uint8), [1, 2]):
        content = {b"data": wrong, b"labels": [0] * COUNT}
        (tmp_path / "py" / "test_batch").write_bytes(pickle.dumps(content))
        with pytest.raises(UsageError, match="test_batch"):
            read_cifar10(tmp_path / "py")


def test_a_batch_cut_between_two_images_is_noticed(tmp_path, batches):
    write(tmp_path / "bin", batches, binary, ".bin")
    target = tmp_path / "bin" / "data_batch_4.bin"
    target.write_bytes(target.read_bytes()[: 3073 * 7])
    with pytest.raises(UsageError, match=r"data_batch_4\.bin has 7 images, others 20"):
        read_cifar10(tmp_path / "bin")


def test_labels_out_of_range_are_refused(tmp_path, batches):
    write(tmp_path / "bin", batches, binary, ".bin")
    pixels, labels = batches["test_batch"]
    (tmp_path / "bin" / "test_batch.bin").write_bytes(binary(pixels, labels + 7))
    with pytest.raises(UsageError, match=r"outside 0\.\.9"):
        read_cifar10(tmp_path / "bin")


def test_a_missing_file_or_path_is_named(tmp_path, batches):
    write(tmp_path / "py", batches, python_2_pickle)
    (tmp_path / "py" / "data_batch_5").unlink()
    with pytest.raises(UsageError, match="data_batch_5"):
        read_cifar10(tmp_path / "py")
    with pytest.raises(UsageError, match="no such file or folder"):
        read_cifar10(tmp_path / "nowhere")


def test_a_damaged_archive_is_one_line(tmp_path, batches):
    write(tmp_path / "py", batches, python_2_pickle)
    path = tmp_path / "cifar.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "py", "py")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UsageError, match="not a whole tar archive"):
        read_cifar10(path)
    path.write_bytes(b"no archive")
    with pytest.raises(UsageError, match="not a whole tar archive"):
        read_cifar10(path)


def test_a_task_is_balanced_and_asks_for_enough(tmp_path):
    images = spectral_images(0, classes=3, per_class=12)
    train, test = images.task(3, per_class=12, seed=1)
    assert train.X.shape == test.X.shape == (36, 1024)
    assert train.y.bincount().tolist() == [12, 12, 12]
    assert train.classes == 3
    assert 0.0 <= float(train.X.min()) <= float(train.X.max()) <= 1.0
    with pytest.raises(UsageError, match="12 images of class 0; 13"):
        images.task(2, per_class=13, seed=1)


@pytest.mark.parametrize("seed", range(20))
def test_there_are_digits_enough_for_table_1_at_its_full_horizon(seed):
    digits = upscaled_digits(seed)
    for classes, count in ((2, 72), (10, 36)):
        train, test = digits.task(classes, count, seed=seed)
        assert train.n == test.n == classes * count


def test_the_stand_ins_are_seeded():
    assert np.array_equal(
        spectral_images(3, 2, 4).test.pixels, spectral_images(3, 2, 4).test.pixels
    )
    assert not np.array_equal(
        spectral_images(3, 2, 4).test.pixels, spectral_images(4, 2, 4).test.pixels
    )
    digits = upscaled_digits(0)
    assert digits.train.pixels.shape[1] == 1024
    assert len(digits.train.labels) + len(digits.test.labels) == 1797


def test_spectral_images_have_a_photographs_spectrum():
    grey = spectral_images(0, 2, 200).train.pixels.reshape(-1, 32, 32) / 255.0
    power = (np.abs(np.fft.fft2(grey - grey.mean((1, 2), keepdims=True))) ** 2).mean(0)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32)))
    inside = (f > 0) & (f < 0.4)
    slope = np.polyfit(np.log(f[inside]), np.log(power[inside]), 1)[0]
    assert -3.3 < slope < -1.5
