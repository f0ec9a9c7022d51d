"""A second implementation of a receipt's hashes, from the text of spec/receipt.md alone.

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

from lib.kapsule import Home, fail_unless

OUTCOMES = ["completed", "trapped", "limit", "denied"]


def read_item(data, at=0):
    """Reads one CBOR item of the few kinds that KCBOR has; returns it and the place after it."""
    major, info = data[at] >> 5, data[at] & 31
    if data[at] in (0xF4, 0xF5):
        return data[at] == 0xF5, at + 1
    width = {24: 1, 25: 2, 26: 4, 27: 8}.get(info, 0)
    number = int.from_bytes(data[at + 1 : at + 1 + width], "big") if width else info
    at += 1 + width
    if major == 0:
        return number, at
    if major in (2, 3):
        raw = data[at : at + number]
        return (raw if major == 2 else raw.decode()), at + number
    items = []
    for _ in range(number * (2 if major == 5 else 1)):
        item, at = read_item(data, at)
        items.append(item)
    return (dict(zip(items[::2], items[1::2])) if major == 5 else items), at


def head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    width = next(width for width in (1, 2, 4, 8) if number < 1 << 8 * width)
    return bytes([major << 5 | 23 + width.bit_length()]) + number.to_bytes(width, "big")


def item(value):
    """Writes one KCBOR item."""
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(item, value))
    pairs = (item(key) + item(value[key]) for key in sorted(value))
    return head(5, len(value)) + b"".join(pairs)


def tagged(tag, *parts):
    """Returns H(tag; parts)."""
    preimage = bytes([len(tag)]) + tag.encode()
    for part in parts:
        preimage += len(part).to_bytes(8, "big") + part
    return hashlib.sha256(preimage).digest()


def ids(claim_bytes):
    """Returns every id that follows from a claim, and the statement that its issuer signs."""
    claim, end = read_item(claim_bytes)
    fail_unless(end == len(claim_bytes) and item(claim) == claim_bytes, "the claim is not KCBOR")
    body, job = claim[6], claim[3]
    issuer = tagged("kapsule/identity/v1", item(claim[2]))
    exec_hash = tagged("kapsule/exec/v1", item(body))
    trace_spec = tagged("kapsule/trace-spec/v1", item(claim[4]))
    outcome = bytes([body[18][0]]) + body[18][1].to_bytes(8, "big")
    inputs = [
        ["capsule_hash", body[0]],
        ["core_hash", body[1]],
        ["exec_hash", exec_hash],
        ["fuel_used", body[17].to_bytes(8, "big")],
        ["input_commitment", body[6][0]],
        ["issuer", issuer],
        ["nonce", job[0]],
        ["outcome", outcome],
        ["output_commitment", body[16][0]],
        ["runtime_policy_hash", body[7]],
    ]
    policy = claim[5][2] if 5 in claim else bytes(32)
    statement = {0: 1, 1: trace_spec, 2: policy, 3: body[11][1], 4: inputs, 5: claim[8], 6: claim[9]}
    found = {
        "receipt_id": hashlib.sha256(claim_bytes).digest(),
        "exec_hash": exec_hash,
        "trace_spec_hash": trace_spec,
        "statement_hash": tagged("kapsule/statement/v1", item(statement)),
        "issuer": issuer,
        "nonce": job[0],
        "run_id": job[1],
    }
    found = {name: value.hex() for name, value in found.items()}
    found |= {"kind": "exec", "outcome": OUTCOMES[body[18][0]]}
    predicate = {name: value for name, value in found.items() if name != "receipt_id"}
    predicate["capsule_hash"] = body[0].hex()
    subject = [{"digest": {"sha256": found["receipt_id"]}, "name": "claim.cbor"}]
    subject += [{"digest": {"sha256": sha.hex()}, "name": name} for name, sha in claim[16]]
    signed = {
        "_type": "https://in-toto.io/Statement/v1",
        "predicate": predicate,
        "predicateType": "urn:kapsule:receipt:v1",
        "subject": subject,
    }
    text = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return found, text.encode()


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
