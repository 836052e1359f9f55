"""Whatever a file or a word of the command line holds: it is read, or one line says what is wrong.

Functions are called here, and not the command line, so that there is time for 100,000 inputs each.
"""

import io
import json
import pickle
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from limitpoint import Ledger
from limitpoint.atlas import Atlas, Row
from limitpoint.commands._types import axis
from limitpoint.engines.checkpoints import Checkpoint, State
from limitpoint.judgement.keywords import Keywords
from limitpoint.judgement.seeds import parse_seeds
from limitpoint.ledger.expected import read_expected
from limitpoint.ledger.gate import as_baseline, compare, expected_failures
from limitpoint.problems import image_files
from limitpoint.rivals.matrix import Matrix
from limitpoint.subjects import _spec
from limitpoint.sweeps import Rows
from limitpoint.views.github import markdown

ROOT = Path(__file__).resolve().parents[2]


# -- words of the command line ----------------------------------------------------------------


def words(*parts):
    """Texts of such parts, and of anything else."""
    return st.lists(st.sampled_from(parts) | st.text(max_size=3), max_size=12).map("".join)


@given(words("0", "1", "42", "-", ",", " ", "9" * 19, "9" * 5000))
@example("0-99999999999")
@example("0-99999,5-99999")
def test_seeds(refused, text):
    found = refused(parse_seeds, text)
    assert found is None or (len(set(found)) == len(found) > 0)


@given(words("adam", " and ", " or ", " not ", "(", ")", " ", "True", "None", "__import__"))
@example("(" * 300 + "a" + ")" * 300)
@example("a (b)")
@example("not " * 5000 + "a")
def test_keywords(refused, text):
    refused(Keywords, text)


@given(
    words("eta", "=", ":", ",", "log", "1", "0.1", "-", "1e308", "1e-308", "inf", "nan", "9" * 30)
)
@example("eta=0:1:9999999999")
@example("eta=" + "9" * 5000)
def test_axes(refused, text):
    refused(axis, text)


SPEC = (
    "lr=0.1",
    "betas=(0.9,0.95)",
    "a=",
    "'",
    '"',
    "(",
    ")",
    "[",
    ",",
    ";",
    "\\",
    "9" * 5000,
    "{",
)


@given(words(*SPEC))
@example("a=" + "(" * 300 + ")" * 300)
@example("a=" + "-" * 100_000 + "1")
@example("a=1 if 1else 2")
def test_options_of_a_subject(refused, text):
    refused(lambda: _spec.parse_options(_spec.split(text)))


@given(words(":", ".", "/", "zq", ".py", "\n", "\0", "é", "..", " "))
def test_a_subjects_place(refused, text):
    refused(_spec.load, text)


# -- documents --------------------------------------------------------------------------------

NUMBERS = st.sampled_from(
    [b"1e999", b"-1", b"null", b'"\\ud800"', b"[" * 2000, b"9" * 400, b"{}", b"\n"]
)


@st.composite
def damaged(draw, whole):
    """Bytes that were whole: cut, spliced, and with something else in places."""
    data = bytearray(draw(st.sampled_from(whole)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 1, 2, 8, 10**6])))
        data[start:end] = draw(st.binary(max_size=8) | NUMBERS)
    return bytes(data)


BASELINE = json.loads((ROOT / "reports" / "baseline.json").read_text(encoding="utf-8"))
SMALL = json.dumps(BASELINE | {"claims": BASELINE["claims"][:2]}).encode()
DUEL = {"claim": "a/b", "role": "gd", "rival": "r", "named": True, "verdict": "refuted",
        "reason": "", "slack": -1.0, "seconds": 0.1}  # fmt: skip
MATRIX = {"schema": 1, "claims": {"a/b": ["gd"]}, "rivals": {"r": {"fault": "f", "roles": ["gd"]}},
          "seed": 1, "covered": ["gd"], "planned": 1, "duels": [DUEL],
          "suite": {"version": "1", "commit": None}}  # fmt: skip
#: One value of a document becomes another: what no flip of a byte comes to.
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
JSON = st.recursive(
    VALUES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def other_values(draw, document):
    found = json.loads(json.dumps(document))
    at, last = found, None
    while isinstance(at, (dict, list)) and at and (last is None or draw(st.booleans())):
        key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        last, at = (at, key), at[key]
    last[0][last[1]] = draw(JSON)
    return json.dumps(found).encode()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


@given(damaged([SMALL]) | other_values(BASELINE | {"claims": BASELINE["claims"][:1]}))
def test_ledgers_and_baselines(refused, path, data):
    path.write_bytes(data)
    ledger = refused(Ledger.read, path)
    if ledger is not None:
        compare(ledger, ledger)
        as_baseline(ledger)
        expected_failures(ledger)
        markdown(ledger.claims, ledger.claims)


@given(damaged([json.dumps(MATRIX).encode()]) | other_values(MATRIX))
def test_kill_matrices(refused, path, data):
    path.write_bytes(data)
    matrix = refused(Matrix.read, path)
    if matrix is not None:
        matrix.failures()


TOML = b'["usam/x"]\nreason = "a"\nurl = "https://x"\n\n["usam/y"]\nreason = """b"""\n'


@given(damaged([TOML]))
@example(b"a = " + b"[" * 5000)
@example(b"a" + b".a" * 5000 + b" = 1")
def test_expected_failures(refused, path, data):
    path.write_bytes(data)
    refused(read_expected, [path])


ROWS = b"map,eta,rho,sharpness,verdict\nm,0.1,0.2,3.5,supported\nm,0.1,0.3,1e400,refuted\n"


@given(damaged([ROWS]))
@example(b"map,eta,rho,x\nm," + b"1" * 200_000 + b",1,1\n")
@example(b'map,eta,rho,x\nm,1,"1,1\n')
@example(b"map,eta,rho,x\nm,1,one,1\n")
@example(b"map,eta,rho,x\nm,1,1\n")
@example(b"map,eta,rho,x\nm,1,1,1,1\n")
def test_rows_of_a_sweep(refused, path, data):
    path.write_bytes(data)
    of = SimpleNamespace(name="m", axes={"eta": (), "rho": ()}, rows_a_point=1)
    rows = refused(Rows, of, path)
    if rows is not None:
        rows.frame({"eta": (0.1,), "rho": (0.2, 0.3)})


ATLAS = (ROOT / "reports" / "atlas.jsonl").read_bytes().splitlines(keepends=True)[:3]


@given(damaged([b"".join(ATLAS)]) | other_values(json.loads(ATLAS[0])).map(lambda row: row + b"\n"))
@example(b"\xff\n")
@example(b'{"target":"a:B","versions":{}}\n{"target":')
def test_rows_of_an_atlas(refused, path, data):
    path.write_bytes(data)
    atlas = refused(Atlas, path)
    if atlas is not None:
        atlas.add(Row(target="a:B", versions={}))
        assert Atlas(path).rows == atlas.rows
        atlas.close()
        assert Atlas(path).rows == atlas.rows


# -- images -----------------------------------------------------------------------------------

BATCH = bytes(3073) * 2
PIXELS = np.zeros((2, 3072), np.uint8)
PICKLES = [pickle.dumps({"data": PIXELS, "labels": [1, 2]}, protocol) for protocol in range(5)]


@given(damaged([BATCH]))
def test_cifars_binary_batches(refused, data):
    refused(image_files._binary_batch, "where", data)


OPCODES = st.lists(
    st.sampled_from(
        [bytes([code]) for code in range(256)] + [b"\xff\xff\xff\x7f", b"os\nsystem\n"]
    ),
    max_size=30,
).map(b"".join)


@given(damaged(PICKLES) | OPCODES)
@example(b"(lr\xff\xff\xff\x7f.")
@example(b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\x00\x00.")
@example(b"]q\x00" + b"(h\x00h\x00h\x00h\x00h\x00h\x00h\x00h\x00h\x00h\x00lq\x00" * 30 + b".")
@example(b"cos\nsystem\n(S'touch owned'\ntR.")
def test_pickled_batches(refused, data):
    refused(image_files._pickled_batch, "where", data)
    assert not Path("owned").exists()


def _tar(kind):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{kind}") as archive:
        for name in ("a/data_batch_1.bin", "b", "data_batch_2"):
            member = tarfile.TarInfo(name)
            member.size = 600
            archive.addfile(member, io.BytesIO(bytes(600)))
    return out.getvalue()


@given(damaged([_tar(kind) for kind in ("", "gz", "bz2", "xz")]))
def test_archives(refused, path, data):
    path.write_bytes(data)
    refused(image_files._archived, path)


# -- checkpoints ------------------------------------------------------------------------------


def _state():
    w = torch.zeros(2, dtype=torch.float64)
    return State(3, w, {"m": w}, {"eta": w.sum()}, [w], {"eta": [w.sum()]})


def _saved(**others):
    out = io.BytesIO()
    torch.save({"run": "x", **vars(_state()), **others}, out)
    return out.getvalue()


def resumed(path):
    run = Checkpoint(path)
    return run.resumed(_state(), SimpleNamespace(name="a", digest="b"), None, np.arange(3))


@given(damaged([_saved(), _saved(w=1), _saved(kept=3), _saved(t="a")]))
@example(pickle.dumps(print))
def test_checkpoints(refused, path, data):
    path.write_bytes(data)
    refused(resumed, path)
