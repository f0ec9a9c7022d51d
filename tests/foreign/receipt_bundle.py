"""Salted claims, encrypted bundles and runs inside a run, from the text of spec/receipt.md alone.

pyrage, the Python binding of rage, and Debian's `age` where it is installed open what only a
recipient may read, Python's tarfile takes it apart, and all commitments are computed anew.
"""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile

import pyrage

from lib.kapsule import ROOT, Home, fail_unless

sys.path.append(str(ROOT / "spec"))
from receipt_ids import item, read_item, tagged  # noqa: E402


def unpacked(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def records(data):
    found, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        value, end = read_item(data, at + 4)
        fail_unless(end == at + 4 + length, "a record has another length")
        found.append(value)
        at = end
    return found


def tree(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + tree(leaves[:half]) + tree(leaves[half:])).digest()


def salt(seed, name, index):
    return tagged("kapsule/salt/v1", seed, name, index.to_bytes(8, "big")) if seed else b""


def committed(tag, seed, name, index, value):
    return [tagged(tag, salt(seed, name, index), value), len(value)]


def transcript_root(entries, seed):
    def leaf(seq, entry):
        fail_unless(entry[0] == seq, "an entry stands at another place")
        request = committed("kapsule/exec/req/v1", seed, b"req", seq, entry[4])
        response = committed("kapsule/exec/resp/v1", seed, b"resp", seq, entry[5])
        return item({**entry, 4: request, 5: response})

    return tree([leaf(seq, entry) for seq, entry in enumerate(entries)])


def inside(body, queue, seed):
    """Takes the runs inside a run off the queue; tells whether each is the one that is listed."""
    for index, listed in enumerate(body[20]):
        own = salt(seed, b"nested", index)
        run = queue.pop(0) if queue else {}
        if tagged("kapsule/exec/v1", item(run)) != listed:
            return False
        count, root = run[10]
        entries, queue[:count] = queue[:count], []
        if len(entries) != count or transcript_root(entries, own) != root:
            return False
        if run.get(19) != (tagged("kapsule/salt-seed/v1", own) if own else None):
            return False
        if not inside(run, queue, own):
            return False
    return True


def agrees(claim, bundle, given=None):
    """Computes the commitments of a claim from its bundle."""
    body, seed = claim[6], bundle.get("salt.seed", b"")
    entries = records(bundle["transcript.klog"])
    queue = records(bundle.get("nested.klog", b""))
    return (
        body.get(19) == (tagged("kapsule/salt-seed/v1", seed) if seed else None)
        and body[10] == [len(entries), transcript_root(entries, seed)]
        and inside(body, queue, seed)
        and not queue
        and (
            given is None
            or body[6] == committed("kapsule/exec/input/v1", seed, b"input", 0, given)
        )
    )


def holds(claim, bundle, nested):
    """Tells whether other records of the runs inside a run agree with the claim."""
    try:
        return agrees(claim, {**bundle, "nested.klog": nested})
    except (SystemExit, IndexError, KeyError, TypeError, ValueError):
        return False


def opened(identity, data):
    try:
        return pyrage.decrypt(data, [identity])
    except pyrage.DecryptError:
        return None


reader, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
home = Home("ed25519")
package = home.package("trust", sign=True)
source = ROOT / "examples" / "data" / "trust-sample.csv"
home.run("convert", "otc", source, "--viewer", "ada", "-o", "trust.input")
run = ["run", package, "--grant", "trust.graph", "--input", "trust.input", "--output", "scores"]
run += ["--key", "author", "--encrypt-to", reader.to_public()]
home.run(*run, "--receipt", "trust.cap")
entries = unpacked((home.path / "trust.cap").read_bytes())
claim, _ = read_item(entries["claim.cbor"])
sealed = entries["audit.bundle"]
fail_unless(hashlib.sha256(sealed).digest() == claim[13][0], "the bundle is another one")
plain = opened(reader, sealed)
fail_unless(plain is not None, "pyrage does not open the bundle")
fail_unless(opened(other, sealed) is None, "anybody opens the bundle")
fail_unless(opened(reader, sealed[:-1] + bytes([sealed[-1] ^ 1])) is None, "a change is not seen")
tools = ["pyrage"]
if shutil.which("age"):
    (home.path / "reader.txt").write_text(str(reader))
    (home.path / "audit.age").write_bytes(sealed)
    command = ["age", "--decrypt", "-i", home.path / "reader.txt", home.path / "audit.age"]
    done = subprocess.run(command, capture_output=True, check=True)
    fail_unless(done.stdout == plain, "age opens something else")
    tools.append("age")

bundle = unpacked(plain)
given = (home.path / "trust.input").read_bytes()
fail_unless(agrees(claim, bundle, given), "the commitments are other ones")
fail_unless(not agrees(claim, bundle, given + b"\0"), "another input opens the commitment")
changed = {**bundle, "salt.seed": bytes(32)}
fail_unless(not agrees(claim, changed), "another salt opens the commitments")
(home.path / "reader.ageid").write_text(f"{reader}\n")
(home.path / "reader.ageid").chmod(0o600)
home.run("audit", "trust.cap", "--identity", "reader.ageid")
refused = json.loads(home.run("audit", "trust.cap", "--json", expect=13).splitlines()[0])
fail_unless(refused["error_code"] == "E212", f"without a key it is {refused['error_code']}")

folder, forged = ROOT / "spec" / "vectors" / "receipt", 0
for name in ("composed", "composed-salted"):
    entries = unpacked((folder / "accept" / f"{name}.bin").read_bytes())
    claim, _ = read_item(entries["claim.cbor"])
    bundle = unpacked(entries["audit.bundle"])
    fail_unless(claim[6][20] and agrees(claim, bundle), f"{name} does not agree")
    for at in range(4, len(bundle["nested.klog"]), 97):
        lie = bytearray(bundle["nested.klog"])
        lie[at] ^= 1
        fail_unless(not holds(claim, bundle, bytes(lie)), f"byte {at} of {name} can be changed")
        forged += 1
print(f"salts, runs inside a run and a bundle by {' and '.join(tools)}; {forged + 5} lies fail")
