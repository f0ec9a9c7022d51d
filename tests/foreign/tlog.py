"""Checkpoints and proofs of the audit log, verified by the library of Go's checksum database.

The program in `tlog/main.go` uses Debian's golang-golang-x-mod-dev, whose `note` and `tlog` share no
code with ours; every kind of proof is then tampered with, and the program has to refuse it.
"""

import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from lib.kapsule import Home, fail_unless

ORIGIN = "kapsule.example/log"
SOURCE = pathlib.Path(__file__).parent / "tlog" / "main.go"
# Where Debian puts Go libraries; without modules nothing is fetched.
GOPATH = "/usr/share/gocode"


def build(folder):
    """Builds the verifier."""
    program = folder / "tlog"
    environment = dict(
        os.environ, GO111MODULE="off", GOPATH=GOPATH, GOCACHE=str(folder / "cache"), GOFLAGS=""
    )
    subprocess.run(["go", "build", "-o", program, SOURCE], env=environment, check=True)
    return program


class Verifier:
    """The program with the key of a log."""

    def __init__(self, program, folder, vkey):
        self.program, self.folder, self.vkey = program, folder, vkey

    def says(self, check, *texts, vkey=None):
        """What the program says, or None if it refuses."""
        paths = []
        for number, text in enumerate(texts):
            paths.append(self.folder / f"input-{number}")
            paths[-1].write_text(text)
        command = [self.program, check, vkey or self.vkey, *paths]
        done = subprocess.run(command, capture_output=True, text=True)
        fail_unless(done.returncode in (0, 1), f"{check}: {done.stderr}")
        return done.stdout.strip() if done.returncode == 0 else None

    def refuses(self, why, check, *texts, vkey=None):
        found = self.says(check, *texts, vkey=vkey)
        fail_unless(found is None, f"accepted in spite of {why}: {found}")


def flipped(line):
    """The base64 of other bytes."""
    data = bytearray(base64.b64decode(line))
    data[0] ^= 1
    return base64.b64encode(data).decode()


def refuse(home, word, count, *more):
    """Has a store refuse files, each of which is an entry of its log."""
    (home.path / word).mkdir()
    for number in range(count):
        (home.path / word / f"{number}.kapsule").write_bytes(f"{word} {number}".encode())
    home.run("ingest", word, *more, expect=20)


def main():
    home = Home("ed25519")
    scratch = tempfile.TemporaryDirectory(prefix="kapsule-tlog-")
    folder = pathlib.Path(scratch.name)
    program = build(folder)

    refuse(home, "first", 6, "--origin", ORIGIN)
    home.run("log", "key", "log")
    signed = json.loads(home.run("log", "checkpoint", "--key", "log", "--json"))
    old, vkey = signed["note"], signed["vkey"]
    go = Verifier(program, folder, vkey)
    size = int(signed["size"])
    fail_unless(go.says("checkpoint", old) == f"{size} entries", "the checkpoint is refused")
    go.refuses("another size", "checkpoint", old.replace(f"\n{size}\n", f"\n{size + 1}\n"))
    root = old.split("\n")[2]
    go.refuses("another root", "checkpoint", old.replace(root, flipped(root)))
    go.refuses("another log", "checkpoint", old.replace(ORIGIN, "kapsule.example/gol"))
    (home.path / "old.txt").write_text(old)

    count = 0
    for index in range(size):
        prove = ("log", "prove", f"--index={index}", "--key", "log", "--json")
        proof = json.loads(home.run(*prove))["proof"]
        fail_unless(go.says("inclusion", proof) == f"entry {index} of {size}", f"entry {index}")
        lines = proof.split("\n")
        extra = lines[1].removeprefix("extra ")
        go.refuses("another entry", "inclusion", proof.replace(extra, flipped(extra)))
        moved = proof.replace(f"index {index}\n", f"index {index ^ 1}\n")
        go.refuses("another place", "inclusion", moved)
        go.refuses("another hash", "inclusion", proof.replace(lines[3], flipped(lines[3])))
        go.refuses("a hash less", "inclusion", proof.replace(lines[3] + "\n", ""))
        count += 4

    refuse(home, "second", 5)
    prove = ("log", "prove", "--since", "old.txt", "--key", "log", "--json")
    found = json.loads(home.run(*prove))
    growth, new = found["proof"], int(found["size"])
    fail_unless(new == size + 5, "five entries were added")
    expect = f"{size} entries begin the {new}"
    fail_unless(go.says("growth", old, growth) == expect, "the log only grew")
    lines = growth.split("\n")
    go.refuses("another hash", "growth", old, growth.replace(lines[1], flipped(lines[1])))
    go.refuses("a hash less", "growth", old, growth.replace(lines[1] + "\n", ""))
    go.refuses("another start", "growth", old, growth.replace(f"old {size}\n", f"old {size - 1}\n"))
    count += 3
    # Another log of the same name and key, which says something else from the start.
    rival = Home("ed25519")
    refuse(rival, "rival", size - 1, "--origin", ORIGIN)
    for path in (home.path / "home").rglob("*"):
        if path.is_file() and path.name.split(".")[0] == "log":
            target = rival.path / path.relative_to(home.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
            target.chmod(0o600)
    forked = json.loads(rival.run("log", "checkpoint", "--key", "log", "--json"))
    fail_unless(forked["vkey"] == vkey and int(forked["size"]) == size, "a rival of that size")
    go.refuses("a fork", "growth", forked["note"], growth)
    count += 1
    print(f"{size} entries and {new - size} more are proved; {count + 3} tampered proofs are refused")


if not pathlib.Path(GOPATH, "src/golang.org/x/mod/sumdb/tlog").is_dir():
    sys.exit("golang-golang-x-mod-dev is not installed")
main()
