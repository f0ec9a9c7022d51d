"""What the foreign checks share: a throwaway home, and packages made by the `kapsule` command."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
COMMAND = os.environ.get("KAPSULE") or sys.exit("set KAPSULE to the built command")

HEADER_BYTES = 61
HASH_AT = 29


class Home:
    """A throwaway home with one identity, `author`, of the given suites."""

    def __init__(self, *suites):
        self._folder = tempfile.TemporaryDirectory(prefix="kapsule-foreign-")
        self.path = pathlib.Path(self._folder.name)
        self.run("key", "new", "author", *(f"--suite={suite}" for suite in suites))

    def run(self, *arguments, expect=0):
        """Runs the command and returns what it printed; another exit code than `expect` fails."""
        environment = dict(os.environ, KAPSULE_HOME=str(self.path / "home"))
        done = subprocess.run(
            [COMMAND, *map(str, arguments)],
            env=environment,
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode != expect:
            sys.exit(
                f"kapsule {arguments}: exit {done.returncode}, expected {expect}\n{done.stderr}"
            )
        return done.stdout

    def public_keys(self, name):
        """Returns the keys of an identity as {suite: (key bytes, key id)}."""
        shown = json.loads(self.run("key", "show", name, "--json"))
        return {
            key["suite"]: (bytes.fromhex(key["public"].split(":")[1]), key["keyid"])
            for key in shown["keys"]
        }

    def envelopes(self, path):
        """Signs a package by `author` and returns the envelopes as {suite: path}."""
        self.run("sign", path, "--key", "author", "--detached")
        found = sorted(path.parent.glob(f"{path.name}.author-*.dsse.json"))
        return {name.name.split(".author-")[1].split("-")[0]: name for name in found}

    def package(self, name, *, sign, encrypt_to=()):
        """Packs a standard module by `author`, signed on request, and returns its path."""
        readers = [part for reader in encrypt_to for part in ("--encrypt-to", reader)]
        manifest = ROOT / "examples" / "packages" / f"{name}.toml"
        target = self.path / f"{name}.mod"
        payload = ROOT / "modules" / "artifacts" / f"{name}.wasm"
        key = "--key" if sign else "--author-key"
        pack = ["pack", manifest, "--payload", payload, key, "author", "-o", target]
        self.run(*pack, *readers)
        return target


def body_length(data):
    """Returns the length of header and sections, read from the header alone."""
    number = lambda start, end: int.from_bytes(data[start:end], "big")
    sections = [(5, 9), (9, 17), (17, 21), (21, 25), (25, 29)]
    return HEADER_BYTES + sum(number(*place) for place in sections)


def fail_unless(condition, message):
    """Ends the check with `message` unless the condition holds."""
    if not condition:
        sys.exit(f"FAILED: {message}")
