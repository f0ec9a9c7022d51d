"""A second implementation of availability challenges, from the text of spec/receipt.md alone.

It draws the indices, answers the challenge from the bundle, checks the answer of the command, and
gives the command answers that are changed.
"""

import base64
import hashlib
import io
import json
import struct
import tarfile
from fractions import Fraction

import cbor2

from lib.kapsule import Home, fail_unless

CHUNK = 65536


def tagged(tag, *parts):
    data = bytes([len(tag)]) + tag.encode()
    for part in parts:
        data += struct.pack(">Q", len(part)) + part
    return hashlib.sha256(data).digest()


def samples(delta_ppm, epsilon_bits, count):
    """Returns the least k with (1 - delta)^k <= 2^-epsilon_bits, at most `count`."""
    if delta_ppm == 0:
        return count
    kept, escape = Fraction(1_000_000 - delta_ppm, 1_000_000), Fraction(1, 2**epsilon_bits)
    k, left = 0, Fraction(1)
    while k < count and left > escape:
        k, left = k + 1, left * kept
    return k


def drawn(predicate):
    count = predicate["chunk_count"]
    fixed = [bytes.fromhex(predicate[name]) for name in ("seed", "receipt_id", "chunk_root")]
    fair, found, number = 2**64 // count * count, [], 0
    while len(found) < min(predicate["k"], count):
        digest = tagged("kapsule/da/index/v1", *fixed, struct.pack(">Q", number))
        value = struct.unpack(">Q", digest[:8])[0]
        if value < fair and value % count not in found:
            found.append(value % count)
        number += 1
    return found


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return node(root(leaves[:half]), root(leaves[half:]))


def path(leaves, index):
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return path(leaves[:half], index) + [root(leaves[half:])]
    return path(leaves[half:], index - half) + [root(leaves[:half])]


def chunks_of(bundle):
    return [bundle[at : at + CHUNK] for at in range(0, len(bundle), CHUNK)]


def leaves_of(bundle):
    return [hashlib.sha256(b"\0" + chunk).digest() for chunk in chunks_of(bundle)]


def response(statement, bundle, indices):
    chunks, leaves = chunks_of(bundle), leaves_of(bundle)
    shown = [[index, chunks[index], path(leaves, index)] for index in sorted(indices)]
    return cbor2.dumps({0: 1, 1: hashlib.sha256(statement).digest(), 2: shown})


def main():
    home = Home()
    home.run("key", "new", "carol")
    rows = "".join(f"u{n % 997},u{n % 991},5,1750060800\n" for n in range(20_000))
    (home.path / "ratings.csv").write_text("source,target,rating,time\n" + rows)
    home.run("convert", "otc", "ratings.csv", "--viewer", "u1", "-o", "trust.input")
    package = home.package("trust", sign=True)
    run = ["run", package, "--grant", "trust.graph", "--input", "trust.input"]
    home.run(*run, "--output", "scores", "--key", "author", "--receipt", "trust.cap")
    with tarfile.open(home.path / "trust.cap", mode="r:") as archive:
        bundle = archive.extractfile("audit.bundle").read()
    count = -(-len(bundle) // CHUNK)
    fail_unless(count > 3, f"a bundle of {count} chunks is none to sample")
    asked = ["da", "challenge", "trust.cap", "--key", "carol", "--delta-ppm", 400_000]
    home.run(*asked, "--epsilon-bits", 1)
    challenge = (home.path / "challenge.jsonl").read_bytes()
    statement = base64.b64decode(json.loads(challenge)["payload"])
    predicate = json.loads(statement)["predicate"]
    leaves = leaves_of(bundle)
    fail_unless(predicate["chunk_root"] == root(leaves).hex(), "another chunk root")
    fail_unless(predicate["k"] == samples(400_000, 1, count), "another number of samples")
    indices = drawn(predicate)

    # Each side answers the same bytes.
    home.run("da", "respond", "challenge.jsonl", "trust.cap")
    own = response(statement, bundle, indices)
    fail_unless((home.path / "response.cbor").read_bytes() == own, "another answer")
    check = ["da", "check", "trust.cap", "challenge.jsonl", "own.cbor", "--key", "carol"]
    (home.path / "own.cbor").write_bytes(own)
    home.run(*check)
    others = [index for index in range(count) if index not in indices]
    shown = cbor2.loads(own)
    changed = [[at, bytes([chunk[0] ^ 1]) + chunk[1:], way] for at, chunk, way in shown[2]]
    wrong_chunk = {**shown, 2: changed}
    answers = {
        "a foreign chunk": (cbor2.dumps(wrong_chunk), 13),
        "another challenge": (cbor2.dumps({**shown, 1: bytes(32)}), 13),
        "nothing": (cbor2.dumps({**shown, 2: []}), 13),
        "what nobody asked for": (response(statement, bundle, indices + others[:1]), 13),
    }
    for what, (answer, code) in answers.items():
        (home.path / "own.cbor").write_bytes(answer)
        home.run(*check, "-o", "other.cap", expect=code)

    # The attestation is an in-toto statement that says what was seen.
    with tarfile.open(home.path / "trust.cap", mode="r:") as archive:
        name = next(entry.name for entry in archive if entry.name.startswith("da/00."))
        envelope = json.loads(archive.extractfile(name).read())
    attested = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    expected = {
        "challenge_id": hashlib.sha256(statement).hexdigest(),
        "missing": [],
        "result": "available",
        "response_sha256": hashlib.sha256(own).hexdigest(),
    }
    fail_unless(expected.items() <= attested.items(), f"attested is {attested}")
    print(f"{len(indices)} of {count} chunks agree, {len(changed)} other answers are refused")


if __name__ == "__main__":
    main()
