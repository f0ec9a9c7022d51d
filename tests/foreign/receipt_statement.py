"""A receipt's hashes by spec/receipt_ids.py, which follows the text of spec/receipt.md alone.

Python's tarfile reads the container and GNU tar makes it again, `cryptography` verifies the
signature, and every id that `kapsule verify` prints is computed anew from `claim.cbor`.
"""

import base64
import hashlib
import io
import json
import subprocess
import sys
import tarfile

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lib.kapsule import ROOT, Home, fail_unless

sys.path.append(str(ROOT / "spec"))
from receipt_ids import ids, item, read_item  # noqa: E402

def pae(payload):
    kind = b"application/vnd.in-toto+json"
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def verifies(key, signature, statement):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, pae(statement))
        return True
    except InvalidSignature:
        return False


def made_again(folder, names):
    """Returns the archive that GNU tar makes of these files."""
    options = "--format=ustar --owner=0 --group=0 --numeric-owner --mtime=@0 --mode=0644"
    command = ["tar", *options.split(), "--no-recursion", "-b1", "-cf", "-", *names]
    return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout


home = Home("ed25519")
package = home.package("trust", sign=True)
source = sys.path[0] + "/../../examples/data/trust-sample.csv"
home.run("convert", "otc", source, "--viewer", "ada", "-o", "trust.input")
run = ["run", package, "--grant", "trust.graph", "--input", "trust.input", "--output", "scores"]
home.run(*run, "--receipt", "trust.cap", "--key", "author")
data = (home.path / "trust.cap").read_bytes()
entries = {}
with tarfile.open(fileobj=io.BytesIO(data)) as archive:
    for member in archive:
        entries[member.name] = archive.extractfile(member).read()

report = json.loads(home.run("verify", "trust.cap", "--json"))
found, statement = ids(entries["claim.cbor"])
for name, value in found.items():
    fail_unless(report["facts"][name] == value, f"{name} is {value}, not {report['facts'][name]}")

(key, keyid), = home.public_keys("author").values()
envelope = json.loads(entries[f"sig/ed25519-{keyid}.dsse.json"])
signature = base64.b64decode(envelope["signatures"][0]["sig"])
fail_unless(base64.b64decode(envelope["payload"]) == statement, "the statement is another one")
fail_unless(verifies(key, signature, statement), "the signature does not verify")
output = hashlib.sha256((home.path / "scores").read_bytes()).hexdigest()
fail_unless(output.encode() in statement, "the output is no subject of the statement")

claim, _ = read_item(entries["claim.cbor"])
for place in (17, 13, 9):
    forged = dict(claim)
    forged[6] = dict(claim[6])
    value = forged[6][place]
    forged[6][place] = value - 1 if isinstance(value, int) else bytes(32)
    _, other = ids(item(forged))
    fail_unless(not verifies(key, signature, other), f"key {place} of the body can be changed")

folder = home.path / "unpacked"
for name, content in entries.items():
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
fail_unless(made_again(folder, list(entries)) == data, "GNU tar makes another archive")
(folder / "claim.cbor").write_bytes(item(forged))
(home.path / "forged.cap").write_bytes(made_again(folder, list(entries)))
refused = json.loads(home.run("verify", "forged.cap", "--json", expect=12))
fail_unless(refused["error_code"] == "E031", f"a forged claim gives {refused['error_code']}")
print(f"receipt {found['receipt_id']}: ids, statement, signature and archive agree; 4 forgeries fail")
