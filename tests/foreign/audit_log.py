"""The audit log, read by Python's sqlite3 and recomputed from `spec/log.md` alone.

Chain, tree, head, checkpoint and proof are recomputed with hashlib, and the signature is verified by
`cryptography`; then single values are edited with plain SQL, and the command has to name them.
"""

import base64
import hashlib
import json
import sqlite3
import struct
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lib.kapsule import Home, fail_unless

ORIGIN = "kapsule.example/log"


def tagged(tag, *parts):
    """The tagged hash of spec/encoding.md."""
    framed = b"".join(struct.pack(">Q", len(part)) + part for part in parts)
    return hashlib.sha256(bytes([len(tag)]) + tag.encode() + framed).digest()


def leaf(data):
    return hashlib.sha256(b"\x00" + data).digest()


def root(leaves):
    """The recursive definition of RFC 6962 section 2.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root(leaves[:split]) + root(leaves[split:])).digest()


def climb(index, size, node, path):
    """The root that a path leads to, by RFC 9162 section 2.1.3.2."""
    last = size - 1
    for sibling in path:
        if index & 1 or index == last:
            node = hashlib.sha256(b"\x01" + sibling + node).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + sibling).digest()
        index, last = index >> 1, last >> 1
    return node if last == 0 else None


def prev_of(entry):
    """Key 2 of an entry: what follows the version, the index, and the key and head of the digest."""
    at = entry.index(b"\x02\x58\x20", 4)
    return entry[at + 3 : at + 35]


def open_note(note, vkey):
    """The three lines of a checkpoint whose signature verifies, as golang.org/x/mod/sumdb/note."""
    text, lines = note.split("\n\n", 1)
    text += "\n"
    name, key_hash, key = vkey.split("+", 2)
    key = base64.b64decode(key)
    wanted = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    fail_unless(wanted.hex() == key_hash and key[0] == 1, "the verifier key is another one")
    for line in lines.splitlines():
        dash, signer, signature = line.split(" ")
        signature = base64.b64decode(signature)
        if (dash, signer, signature[:4]) == ("\u2014", name, wanted):
            Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], text.encode())
            return text.splitlines()
    raise InvalidSignature("no line of the key")


def check_database(database):
    """Recomputes everything that the log's tables say; returns the entries."""
    entries = database.execute("SELECT idx, bytes, hash FROM entry ORDER BY idx").fetchall()
    prev = tagged("kapsule/log/genesis/v1", ORIGIN.encode())
    for place, (index, data, stated) in enumerate(entries):
        fail_unless(index == place and prev_of(data) == prev, f"entry {place} does not follow")
        prev = tagged("kapsule/log/entry/v1", data)
        fail_unless(prev == stated, f"entry {place} has another hash")
    leaves = [leaf(data) for _, data, _ in entries]
    head = database.execute("SELECT size, hash, root FROM head").fetchone()
    fail_unless(head == (len(entries), prev, root(leaves)), "the head is another one")
    for level, position, stated in database.execute("SELECT level, pos, hash FROM node"):
        part = leaves[position << level : (position + 1) << level]
        fail_unless(len(part) == 1 << level and root(part) == stated, "a node is another one")
    for name, data in database.execute("SELECT sha256, file FROM quarantine"):
        fail_unless(hashlib.sha256(data).digest() == name, "a file has another name")
    fail_unless(database.execute("PRAGMA integrity_check").fetchone() == ("ok",), "integrity")
    return [data for _, data, _ in entries]


def main():
    home = Home("ed25519")
    for number in range(9):
        (home.path / f"{number}.kapsule").write_bytes(b"no capsule %d" % number)
    home.run("ingest", ".", "--origin", ORIGIN, expect=20)
    home.run("log", "key", "log")
    file = home.path / "home" / "data" / "store.sqlite"
    # A reader must not be in the way of the command, nor change the file.
    reader = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    entries = check_database(reader)
    reader.close()

    signed = json.loads(home.run("log", "checkpoint", "--key", "log", "--json"))
    note, vkey = signed["note"], signed["vkey"]
    lines = open_note(note, vkey)
    expect = [ORIGIN, str(len(entries)), base64.b64encode(root(list(map(leaf, entries)))).decode()]
    fail_unless(lines == expect, "the checkpoint says something else")
    try:
        open_note(note.replace(f"\n{len(entries)}\n", f"\n{len(entries) + 1}\n"), vkey)
    except InvalidSignature:
        pass
    else:
        sys.exit("FAILED: an edited checkpoint verifies")

    for index, entry in enumerate(entries):
        proof = json.loads(home.run("log", "prove", f"--index={index}", "--key", "log", "--json"))
        head, checkpoint = proof["proof"].split("\n\n", 1)
        first, extra, stated, *path = head.split("\n")
        fail_unless(first == "c2sp.org/tlog-proof@v1", "another format")
        fail_unless(base64.b64decode(extra.removeprefix("extra ")) == entry, "another entry")
        fail_unless(stated == f"index {index}", "another index")
        _, size, top = open_note(checkpoint, vkey)
        path = [base64.b64decode(line) for line in path]
        found = climb(index, int(size), leaf(entry), path)
        fail_unless(found == base64.b64decode(top), f"the path of entry {index} leads elsewhere")
        wrong = climb(index, int(size), leaf(entry + b"x"), path)
        fail_unless(wrong != base64.b64decode(top), "the path leads there from another entry")

    home.run("log", "verify")
    home.run("doctor")
    whole = file.read_bytes()
    edits = {
        "UPDATE entry SET hash = zeroblob(32) WHERE idx = 4": "entry 4",
        "DELETE FROM entry WHERE idx = 5": "entry 6",
        "UPDATE node SET hash = zeroblob(32) WHERE level = 2 AND pos = 1": "node 1 of level 2",
        "UPDATE quarantine SET file = x'00'": "in quarantine",
    }
    for sql, names in edits.items():
        database = sqlite3.connect(file)
        trigger = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        triggers = database.execute(trigger).fetchall()
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        database.execute(sql)
        for _, text in triggers:
            database.execute(text)
        database.commit()
        database.close()
        found = home.run("doctor", "--json", expect=15)
        fail_unless(names in found, f"{sql}: {names!r} is not named in {found}")
        file.write_bytes(whole)
    home.run("doctor")
    print(f"{len(entries)} entries, their checkpoint and proofs agree; {len(edits)} edits are named")


main()
