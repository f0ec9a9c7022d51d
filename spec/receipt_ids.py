"""Computes every id of a receipt from its claim, by the text of spec/receipt.md alone.

    python3 spec/receipt_ids.py FILE...

A file is a receipt (.cap) or the claim taken out of one. Nothing but the standard library of
Python is needed; no signature is looked at.
"""

import hashlib
import json
import sys
import tarfile

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
    if end != len(claim_bytes) or item(claim) != claim_bytes:
        raise ValueError("the claim is not KCBOR")
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
    if 5 in claim:
        predicate["policy_sha256"] = policy.hex()
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


def claim_of(path):
    """Returns the claim of a receipt, or the whole file where it is no container."""
    if not tarfile.is_tarfile(path):
        with open(path, "rb") as file:
            return file.read()
    with tarfile.open(path) as archive:
        return archive.extractfile("claim.cbor").read()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for path in sys.argv[1:]:
        found, _ = ids(claim_of(path))
        print(json.dumps(found, indent=2))
