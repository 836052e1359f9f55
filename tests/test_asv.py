"""Each benchmark that asv runs, once, on this tree; what asv is told; and the page it publishes."""

import functools
import hashlib
import importlib.util
import itertools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from asv.config import Config
from asv_runner.discovery import disc_benchmarks

from limitpoint.judgement.evidence import ordering

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "limitpoint_asv"
ASV_PAGE = Path(importlib.util.find_spec("asv").origin).parent / "www" / "index.html"


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# Its folder is called asv, as asv itself is.
load(PACKAGE, ROOT / "bench" / "asv" / "__init__.py")
BENCHMARKS = {found.name: found for found in disc_benchmarks(PACKAGE)}
embed = load("limitpoint_embed", ROOT / "ci" / "page" / "embed.py")
#: What these start in processes of their own is compiled there, once more or for nothing.
LONG = ("kernels.Width", "overhead.FirstVerdict")
CASES = [
    pytest.param(
        name,
        index,
        id="-".join([name, *map(str, values)]),
        marks=[pytest.mark.nightly] if name.startswith(LONG) else [],
    )
    for name, found in BENCHMARKS.items()
    for index, values in enumerate(itertools.product(*found._params))
]


@pytest.fixture(autouse=True)
def _threads(monkeypatch):
    """Benchmarks choose the number of threads for their whole process: undone here."""
    monkeypatch.setenv("LIMITPOINT_THREADS", "1")


@functools.cache
def made_once(key):
    """What `setup_cache` of that key returns, which all benchmarks that share it are given."""
    return next(b for b in BENCHMARKS.values() if b.setup_cache_key == key).do_setup_cache()


def is_skipped(found, index, cache):
    """Prepare a benchmark for the parameters of that number."""
    if found._params:
        found.set_param_idx(index)
    found.set_cache(cache)
    return found.do_setup()


@pytest.mark.parametrize(("name", "index"), CASES)
def test_runs_and_skips_only_a_device_that_is_missing(name, index):
    found = BENCHMARKS[name]
    cache = made_once(found.setup_cache_key) if found.setup_cache_key else None
    skipped = is_skipped(found, index, cache)
    missing = "cuda" in found._current_params and not torch.cuda.is_available()
    assert skipped == missing
    if skipped:
        return
    result = found.func(*found._build_params())
    if found.type == "track":
        assert 0 < result < (300 if found.unit == "seconds" else 1)
    elif name.rpartition(".")[2].startswith("timeraw_"):
        subprocess.run([sys.executable, "-c", result], check=True)


def test_there_is_a_time_a_memory_and_a_gap():
    assert {found.type for found in BENCHMARKS.values()} == {"time", "peakmemory", "track"}
    models = {name.split(".")[1] for name in BENCHMARKS if name.startswith("kernels.")}
    assert models >= {"Linear", "Diagonal", "Multiclass", "Relu"}


def test_a_gap_is_lower_where_the_margin_is_larger():
    gaps = sys.modules[f"{PACKAGE}.gaps"]
    claim, quantity, measure = gaps.GAPS["Adam, clusters: 1 - promised max-norm margin / optimum"]
    assert (claim, quantity) == ("multiclass/adam-max-norm", f"clusters, a = 0.5: {gaps.PROMISED}")
    far, near = (ordering(quantity, 0.5, reached, "test") for reached in (0.75, 0.875))
    assert measure(far) == 0.25
    assert measure(near) == 0.125


@pytest.mark.parametrize(
    "name", [name for name in BENCHMARKS if not name.startswith(("overhead.Import", LONG[0]))]
)
def test_skips_a_commit_that_lacks_what_it_uses(name, monkeypatch):
    for module in [loaded for loaded in sys.modules if loaded.partition(".")[0] == "limitpoint"]:
        monkeypatch.setitem(sys.modules, module, None)
    found = BENCHMARKS[name]
    assert is_skipped(found, 0, found.do_setup_cache())


def test_asv_is_told_the_pins_and_to_leave_torch_alone():
    conf = Config.load(str(ROOT / "asv.conf.json"))
    pins = (ROOT / "ci" / "constraints.txt").read_text().splitlines()
    assert [f"torch=={version}" for version in conf.matrix["req"]["torch"]] == [
        pin for pin in pins if pin.startswith("torch==")
    ]
    assert "--no-deps" in conf.build_command[0]
    forced = [command for command in conf.install_command if "--force-reinstall" in command]
    assert forced
    assert all("--no-deps" in command for command in forced)
    assert "{conf_dir}/ci/constraints.txt" in conf.install_command[-1]


def test_page_loads_nothing_from_the_net():
    page = embed.localised(ASV_PAGE.read_text())
    loaded = re.findall(r'<(?:script|link)[^>]*(?:src|href)="([^"]+)"', page)
    assert "data.js" in loaded
    assert loaded.index("data.js") < loaded.index("asv.js")
    assert not [address for address in loaded if "://" in address]
    vendored = [address for address in loaded if address.startswith("vendor/")]
    assert len(vendored) == 10
    assert all((embed.VENDOR.parent / address).exists() for address in vendored)


def test_a_script_without_a_copy_is_an_error():
    with pytest.raises(LookupError, match=r"new\.min\.js: no copy"):
        embed.localised('<script src="https://example.org/new.min.js"></script>')


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium to open the page with")
def test_page_opens_from_its_file(tmp_path):
    """asv's own page asks for its data by jQuery; a browser gives none to a file."""
    (tmp_path / "index.html").write_text(
        '<script src="https://example.org/jquery-3.3.1.min.js"></script><script>$(function () {'
        '$.ajax({url: "graphs/a%20b.json?timestamp=1", dataType: "json"})'
        ".done(function (data) { document.title = data.answer; }); });</script>"
    )
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "a b.json").write_text('{"answer": "from the file"}')
    embed.embed(tmp_path)
    browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    own = [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000"]
    url = (tmp_path / "index.html").as_uri()
    shown = subprocess.run([*browser, *own, url], capture_output=True, text=True, timeout=120)
    assert "<title>from the file</title>" in shown.stdout


FAKE_ASV = """#!/bin/sh
echo "asv $*"
case $1 in
  run) cat ;;
  publish) mkdir -p reports/asv && touch reports/asv/index.html ;;
esac
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout with two commits and the scripts of ci/, its asv set up but a fake."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "ci", folder / "ci")
    programs = folder / ".asv" / "venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "asv").write_text(FAKE_ASV)
    (programs / "asv").chmod(0o755)
    (programs / "python").symlink_to(sys.executable)
    pinned = b"".join(
        (folder / "ci" / name).read_bytes() for name in ("constraints.txt", "setup-asv")
    )
    (folder / ".asv" / "venv" / ".stamp").write_text(hashlib.sha256(pinned).hexdigest())
    who = ["-c", "user.name=tests", "-c", "user.email=tests@localhost"]
    subprocess.run(["git", "init", "-q", folder], check=True)
    for message in ("one", "two"):
        commit = ["commit", "-q", "--allow-empty", "-m", message]
        subprocess.run(["git", "-C", folder, *who, *commit], check=True)
    return folder


def call(checkout, *command):
    return subprocess.run(
        [checkout / "ci" / command[0], *command[1:]],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=checkout.parent,
    )


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("dashboard", "nowhere"), "dashboard: nowhere: neither a number of commits nor a range"),
        (("dashboard", "0"), "dashboard: 0: no commits there"),
    ],
)
def test_wrong_usage_is_one_line(checkout, command, why):
    done = call(checkout, *command)
    assert done.returncode == 2
    assert done.stderr.startswith(why)
    assert done.stderr.count("\n") == 1
    assert not done.stdout


@pytest.mark.parametrize(
    ("arguments", "commits"),
    [((), 2), (("1",), 1), (("9", "--quick"), 2), (("HEAD~1..HEAD",), 1), (("HEAD~1",), 1)],
)
def test_dashboard_runs_the_last_commits_or_a_range(checkout, arguments, commits):
    done = call(checkout, "dashboard", *arguments)
    assert done.returncode == 0
    assert len(re.findall(r"^[0-9a-f]{40}$", done.stdout, re.MULTILINE)) == commits
    assert ("--quick" in done.stdout) == ("--quick" in arguments)
    assert done.stdout.endswith("dashboard: reports/asv/index.html\n")
    assert (checkout / "reports" / "asv" / "data.js").exists()
