"""What a stranger's text or file could reach: a shell, a page, the disk, the interpreter."""

import ast
import html
import io
import re
import shlex
import subprocess
import tarfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import limitpoint
from limitpoint import Ledger, UsageError
from limitpoint.judgement.evaluate import reproduce
from limitpoint.judgement.registry import all_claims
from limitpoint.judgement.setting import Setting
from limitpoint.problems.image_files import read_cifar10
from limitpoint.views.github import _block, error_lines, plain

MARKS = st.lists(
    st.sampled_from([*"`*_{}[]()<>#+!|~&$-=:;'\"\\ \n\t./@^%0a", "<script>", "&lt;", "![x](y)",
                     "\r\n",
                     "::error::", "$(id)", "javascript:", "</p>", "1. ", "    ", "```", "~~~"])
    | st.text(max_size=3),
    max_size=12,
).map("".join)  # fmt: skip


@pytest.fixture(scope="module")
def claim():
    return all_claims()["usam/gd-min-distance"]


@given(spec=MARKS)
def test_a_line_to_paste_is_words_and_no_more(claim, spec):
    line = reproduce(claim, [f"gd={spec}"], Setting())
    assert shlex.split(line)[-2:] == ["--subject", f"gd={spec}"]


@pytest.mark.parametrize(
    "spec", ["a'b", "$(touch owned)", "`touch owned`", "a\nb; touch owned", "*"]
)
def test_a_shell_takes_a_line_as_words(claim, tmp_path, spec):
    line = reproduce(claim, [spec], Setting()).replace("pytest", "printf '%s\\0'", 1)
    shell = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, check=True)
    assert shell.stdout.decode().split("\0")[-2] == spec
    assert not list(tmp_path.iterdir())


PAGE = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@given(MARKS)
def test_text_in_markdown_is_text(text):
    shown = PAGE.render(f"**a** told: {plain(text)}")
    inside = re.fullmatch(r"<p><strong>a</strong> told:(.*)</p>\n", shown, re.S)
    assert inside is not None
    assert "<" not in inside[1]
    kept = html.unescape(inside[1]).replace("\ufffd", "\0")
    assert kept.split() == text.split()


@given(MARKS)
def test_a_command_in_markdown_is_one_block_of_code(text):
    shown = PAGE.render("\n".join([*_block(text), "", "after"]))
    assert re.fullmatch(r'<pre><code class="language-sh">[^<]*</code></pre>\n<p>after</p>\n', shown)


@given(MARKS)
def test_an_annotation_is_one_command_to_the_runner(baseline_record, text):
    (line,) = error_lines([baseline_record(text)])
    assert not {"\n", "\r"} & set(line)
    title = line.removeprefix("::error title=").partition("::")[0]
    assert ":" not in title
    assert "," not in title


@pytest.fixture(scope="module")
def baseline_record():
    path = Path(__file__).resolve().parents[2] / "reports" / "baseline.json"
    record = Ledger.read(path).claims[0]
    return lambda text: msgspec.structs.replace(record, reason=text, reproduce=text)


# -- files of images --------------------------------------------------------------------------


def archive(path, *members):
    with tarfile.open(path, "w:gz") as out:
        for name, kind, value in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind == tarfile.REGTYPE:
                member.size = len(value)
                out.addfile(member, io.BytesIO(value))
            else:
                member.linkname = value
                out.addfile(member)


LINKS = [
    ("data_batch_1.bin", tarfile.SYMTYPE, "/etc/passwd"),
    ("data_batch_1.bin", tarfile.SYMTYPE, "data_batch_1.bin"),
    ("data_batch_1.bin", tarfile.LNKTYPE, "nowhere"),
    ("data_batch_1.bin", tarfile.FIFOTYPE, ""),
    ("../../data_batch_1.bin", tarfile.REGTYPE, b"no record"),
    ("/data_batch_1.bin", tarfile.REGTYPE, b"no record"),
]


@pytest.mark.parametrize("member", LINKS, ids=str)
def test_an_archive_reaches_nothing_outside(tmp_path, member, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive(tmp_path / "c.tar.gz", member)
    with pytest.raises(UsageError, match="data_batch_"):
        read_cifar10(tmp_path / "c.tar.gz")
    assert [p.name for p in tmp_path.iterdir()] == ["c.tar.gz"]
    assert not (tmp_path.parents[1] / "data_batch_1.bin").exists()


def test_an_archive_that_would_fill_the_memory(tmp_path, bounded):
    """Its header says a terabyte: nothing of it is read."""
    header = tarfile.TarInfo("data_batch_1.bin")
    header.size = 10**12
    (tmp_path / "c.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    with bounded(), pytest.raises(UsageError, match="larger"):
        read_cifar10(tmp_path / "c.tar")


# -- what can run code ------------------------------------------------------------------------

#: Every place where text could become code, and why it does not.
KNOWN = {
    ("judgement/keywords.py", "eval"),  # brackets, operators, True and False
    ("engines/cpu/build.py", "exec"),  # compiled loops, made of the library's own trace
    ("engines/checkpoints.py", "torch.load"),  # weights_only
    ("problems/image_files.py", "pickle.Unpickler"),  # find_class refuses every name
}
DANGEROUS = {"eval", "exec", "pickle.load", "pickle.loads", "pickle.Unpickler", "torch.load",
             "os.system", "os.popen", "yaml.load", "marshal.loads", "shelve.open", "joblib.load",
             "np.load", "pd.read_pickle"}  # fmt: skip


def dotted(node):
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def test_nothing_that_is_read_is_run():
    root, found = Path(limitpoint.__file__).parent, set()
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"shell=|\.extract(all)?\(", text), path
        if any(name in text for name in DANGEROUS):
            names = {dotted(node) for node in ast.walk(ast.parse(text))} & DANGEROUS
            found |= {(path.relative_to(root).as_posix(), name) for name in names}
    assert found == KNOWN
