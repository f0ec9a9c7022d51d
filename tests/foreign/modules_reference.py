"""Independent Python references agree with what the standard modules compute.

trust: networkx personalised PageRank to 1e-6, maximum flow, blocks; rank: a float reference;
transfer: a journal of Python integers; blocklist: Unicode data and backtracking;
agent_logic: its scenarios; regression: Python's doubles and rational numbers.
The sample data is always checked; the real data sets where `KAPSULE_DATA` or ../shared/data has
them.
"""

import os
import pathlib
import subprocess
import sys

from lib.kapsule import ROOT, Home, fail_unless

SAMPLES = ROOT / "examples" / "data"
REAL = pathlib.Path(os.environ.get("KAPSULE_DATA") or ROOT.parent / "shared" / "data")


def reference(module, *arguments):
    script = ROOT / "modules" / module / "reference" / "check.py"
    done = subprocess.run([sys.executable, script, *map(str, arguments)])
    fail_unless(done.returncode == 0, f"{module}/reference/check.py {arguments}")


def check_trust(home, package, csv, viewer, label):
    given, output = home.path / f"{label}.trust-input", home.path / f"{label}.trust-output"
    home.run("convert", "otc", csv, "--viewer", viewer, "-o", given)
    same = home.path / f"{label}.reference-input"
    reference("trust", "input", csv, "--viewer", viewer, "-o", same)
    fail_unless(given.read_bytes() == same.read_bytes(), f"{label}: two converters disagree")
    home.run("run", package, "--grant", "trust.graph", "--input", given, "--output", output)
    reference("trust", "compare", given, output)
    return output


def check_rank(home, package, csv, scores, label):
    given, output = home.path / f"{label}.rank-input", home.path / f"{label}.rank-output"
    trust = ["--trust", scores] if scores else []
    home.run("convert", "hn", csv, *trust, "-o", given)
    home.run("run", package, "--input", given, "--output", output)
    reference("rank", "compare", given, output)


def check_generated(home, name, label, *options):
    """Runs the package on an input that its reference makes up."""
    given, output = home.path / f"{label}.{name}-input", home.path / f"{label}.{name}-output"
    reference(name, "input", *options, "-o", given)
    home.run("run", home.path / f"{name}.mod", "--input", given, "--output", output)
    reference(name, "compare", given, output)


def check_blocklist(home, table, label):
    """Judges messages as they are, and rewritten the way people get past filters."""
    rules = SAMPLES / "sms-rules.toml"
    given, output = home.path / f"{label}.blocklist-input", home.path / f"{label}.blocklist-output"
    home.run("convert", "sms", table, "--rules", rules, "-o", given)
    same = home.path / f"{label}.reference-input"
    reference("blocklist", "input", rules, table, "-o", same)
    fail_unless(given.read_bytes() == same.read_bytes(), f"{label}: two converters disagree")
    for options in ((), ("--disguise", 1)):
        reference("blocklist", "input", rules, table, *options, "-o", given)
        home.run("run", home.path / "blocklist.mod", "--input", given, "--output", output)
        reference("blocklist", "compare", given, output)


for module in ("trust", "rank", "transfer", "regression", "blocklist", "agent_logic"):
    reference(module, "self-test")
home = Home()
for module in ("transfer", "regression", "blocklist"):
    home.package(module, sign=True)
for seed in (1, 2):
    check_generated(home, "transfer", seed, "--seed", seed, "--transactions", 3000)
table = ("--rows", 500, "--columns", 3)
check_generated(home, "regression", "numbers", "--seed", 1, *table)
check_generated(home, "regression", "nan", "--seed", 2, *table, "--constant")
trust, rank = home.package("trust", sign=True), home.package("rank", sign=True)
scores = check_trust(home, trust, SAMPLES / "trust-sample.csv", "ada", "sample")
check_rank(home, rank, SAMPLES / "feed-sample.csv", scores, "sample")
check_blocklist(home, SAMPLES / "sms-sample.tsv", "sample")
if REAL.is_dir():
    check_blocklist(home, REAL / "sms-spam.tsv", "sms")
    fit = ROOT / "modules" / "blocklist" / "reference" / "fit.py"
    fitted = [sys.executable, fit, SAMPLES / "sms-rules.toml", REAL / "sms-spam.tsv", "--check"]
    fail_unless(subprocess.run(fitted).returncode == 0, "the weights of sms-rules.toml")
    check_trust(home, trust, REAL / "bitcoin-otc-trust.csv", "35", "otc")
    check_rank(home, rank, REAL / "hacker-news-2016.csv", None, "hn")
else:
    print(f"skipped: no real data in {REAL}")
