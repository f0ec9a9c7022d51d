"""npm @sigstore/verify reads exported Sigstore bundles of suites 1 and 2, and refuses changed ones.

It needs node and npm, which put the packages below the user's cache directory.
"""

import copy
import json
import os
import pathlib
import shutil
import subprocess
import sys

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lib.kapsule import ROOT, Home, fail_unless

PACKAGES = ["@sigstore/bundle@4", "@sigstore/verify@3"]
SCRIPT = ROOT / "tests" / "foreign" / "lib" / "sigstore.mjs"


def installed():
    """Returns the directory with the packages, or why there is none."""
    if not shutil.which("node") or not shutil.which("npm"):
        return None, "there is no node and npm here"
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(cache) / "kapsule" / "npm"
    if not (folder / "node_modules" / "@sigstore" / "verify").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
        done = subprocess.run(["npm", "install", *options, *PACKAGES], capture_output=True)
        if done.returncode != 0:
            return None, f"npm installs nothing: {done.stderr.decode()}"
    return folder / "node_modules", None


def pem(suite, key):
    if suite == "ed25519":
        loaded = Ed25519PublicKey.from_public_bytes(key)
    else:
        loaded = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
    return loaded.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def flipped(text):
    return ("B" if text[0] == "A" else "A") + text[1:]


def forgeries(bundle):
    """Yields changed bundles, each with what was changed."""
    changed = copy.deepcopy(bundle)
    changed["dsseEnvelope"]["payload"] = flipped(changed["dsseEnvelope"]["payload"])
    yield "payload", changed
    changed = copy.deepcopy(bundle)
    signature = changed["dsseEnvelope"]["signatures"][0]
    signature["sig"] = flipped(signature["sig"])
    yield "signature", changed
    changed = copy.deepcopy(bundle)
    changed["dsseEnvelope"]["payloadType"] = "application/json"
    yield "payload type", changed
    changed = copy.deepcopy(bundle)
    changed["verificationMaterial"]["publicKey"]["hint"] = "0" * 64
    yield "hint", changed


modules, missing = installed()
if missing:
    print(f"skipped: {missing}")
    sys.exit(0)
home = Home("ed25519", "p256")
package = home.package("trust", sign=True)
source = ROOT / "examples/data/trust-sample.csv"
home.run("convert", "otc", source, "--viewer", "ada", "-o", "trust.input")
run = ["run", package, "--grant", "trust.graph", "--input", "trust.input", "--key", "author"]
home.run(*run, "--output", "scores", "--receipt", "trust.cap")
home.run("receipt", "export", "trust.cap", "--form", "statement", "-o", "statement.json")
statement = (home.path / "statement.json").read_bytes()


def read(file, hint):
    command = ["node", SCRIPT, modules, home.path / file, home.path / "key.pem", hint]
    done = subprocess.run([*map(str, command)], capture_output=True)
    return done.stdout if done.returncode == 0 else None


for suite, (key, keyid) in home.public_keys("author").items():
    (home.path / "key.pem").write_bytes(pem(suite, key))
    export = ["receipt", "export", "trust.cap", "--form", "sigstore", "--keyid", keyid]
    home.run(*export, "-o", "bundle.json")
    bundle = json.loads((home.path / "bundle.json").read_bytes())
    fail_unless(read("bundle.json", keyid) == statement, f"{suite}: the bundle does not verify")
    count = 0
    for what, forged in forgeries(bundle):
        (home.path / "forged.json").write_text(json.dumps(forged))
        fail_unless(read("forged.json", keyid) is None, f"{suite}: a changed {what} verifies")
        count += 1
    print(f"@sigstore/verify reads the bundle by {suite} key {keyid}; {count} forgeries fail")
