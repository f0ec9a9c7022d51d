"""A second reader of capsules, from the text of spec/capsule.md alone.

GNU tar makes the container again, cbor2 reads the metadata, `cryptography` verifies the signature,
pyrage, and Debian's `age` where it is installed, open the payload, and every id, the binding and
the commitment are computed anew. Each step is repeated with a changed file.
"""

import base64
import hashlib
import io
import json
import shutil
import struct
import subprocess
import tarfile

import cbor2
import pyrage
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lib.kapsule import Home, fail_unless


def tagged(tag, *parts):
    data = bytes([len(tag)]) + tag.encode()
    for part in parts:
        data += struct.pack(">Q", len(part)) + part
    return hashlib.sha256(data).digest()


def entries(data):
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}


def tar(home, files):
    """Lets GNU tar make a container of entries in their order."""
    folder = home.path / "tar"
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    options = ["--format=ustar", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"]
    options += ["--mode=0644", "--no-recursion", "-b1", "-C", str(folder), "-cf", "-"]
    return subprocess.run(["tar", *options, *files], capture_output=True, check=True).stdout


def statement(meta, raw, author):
    predicate = {"author": author, "epoch": meta[13], "kind": meta[1], "seq": meta[4]}
    if 2 in meta:
        predicate["channel"] = meta[2].hex()
    value = {
        "_type": "https://in-toto.io/Statement/v1",
        "predicate": predicate,
        "predicateType": "urn:kapsule:capsule:v1",
        "subject": [{"digest": {"sha256": hashlib.sha256(raw).hexdigest()}, "name": "meta.cbor"}],
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def signed(files, meta, raw):
    """Tells whether the one envelope holds the statement, signed by the author's key."""
    author = tagged("kapsule/identity/v1", cbor2.dumps(meta[3])).hex()
    envelope = json.loads(next(text for name, text in files.items() if name.startswith("sig/")))
    payload = base64.b64decode(envelope["payload"])
    if payload != statement(meta, raw, author):
        return False
    kind = envelope["payloadType"]
    pae = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    key = Ed25519PublicKey.from_public_bytes(meta[3][0][1])
    try:
        key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), pae)
    except InvalidSignature:
        return False
    return True


def padded(length):
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


def belongs(meta, plaintext):
    """Tells whether a plaintext is the one of these metadata."""
    length = struct.unpack(">I", plaintext[:4])[0]
    inner = cbor2.loads(plaintext[4 : 4 + length])
    body = plaintext[4 + length : 4 + length + inner[5]]
    used = 4 + length + inner[5]
    public = cbor2.dumps({key: value for key, value in meta.items() if key != 15})
    return (
        inner[1] == tagged("kapsule/capsule/binding/v1", public)
        and inner[2] == meta[3]
        and meta[11] == tagged("kapsule/capsule/plain/v1", inner[3], inner[4].encode(), body)
        and len(plaintext) == padded(used)
        and not any(plaintext[used:])
    )


def age(payload, file):
    done = subprocess.run(["age", "-d", "-i", str(file)], input=payload, capture_output=True)
    return done.stdout if done.returncode == 0 else None


def rage(payload, secret):
    try:
        return bytes(pyrage.decrypt(payload, [pyrage.x25519.Identity.from_str(secret)]))
    except pyrage.DecryptError:
        return None


home = Home()
home.run("key", "new", "alice")
home.run("key", "recipient", "alice")
home.run("channel", "new", "team", "--key", "alice", "--reader", "alice")
text = home.path / "text"
text.write_text("hello, foreign tools")
file = home.path / "post.kapsule"
home.run("post", "post", "--key", "alice", "--file", text, "-o", file)
channels = home.path / "home" / "data" / "channels"
epoch = next(channels.glob("*/epoch-0.ageid"))
secret = [line for line in epoch.read_text().splitlines() if line.startswith("AGE-")][0]
member = home.path / "home" / "data" / "keys" / "alice.ageid"
data = file.read_bytes()
files = entries(data)
raw = files["meta.cbor"]
meta = cbor2.loads(raw)
payload = files["payload.age"]

# The container, the metadata, their id and every bound entry.
fail_unless(tar(home, files) == data, "GNU tar makes other bytes")
fail_unless(cbor2.dumps(meta) == raw, "cbor2 writes other metadata")
shown = json.loads(home.run("inspect", file, "--json"))
fail_unless(shown["capsule_id"] == hashlib.sha256(raw).hexdigest(), "another id")
for name, size, digest in meta[15]:
    held = files[name]
    fail_unless((size, digest) == (len(held), hashlib.sha256(held).digest()), f"other {name}")
genesis = next(channels.glob("*/keyring-0.kapsule"))
first = entries(genesis.read_bytes())
fail_unless(meta[2] == hashlib.sha256(first["meta.cbor"]).digest(), "another channel")
fail_unless(meta[5] == [meta[2]] and meta[6] == meta[2] and meta[4] == 1, "other links")

# Signatures, and the same of a changed statement.
fail_unless(signed(files, meta, raw), "the signature does not verify")
fail_unless(not signed(files, {**meta, 4: 2}, raw), "another statement is taken for signed")
later = cbor2.dumps({**meta, 7: meta[7] + 1})
fail_unless(not signed(files, cbor2.loads(later), later), "other metadata are taken for signed")

# Payloads, and the same of changed ones and of strangers.
stranger = str(pyrage.x25519.Identity.generate())
changed = payload[:-1] + bytes([payload[-1] ^ 1])
opened = [rage(payload, secret)]
refused = [rage(changed, secret), rage(payload, stranger)]
if shutil.which("age"):
    opened.append(age(payload, epoch))
    refused += [age(changed, epoch), age(payload, member)]
else:
    print("skipped: no age command here, pyrage alone is asked")
fail_unless(opened[0] is not None and len(set(opened)) == 1, "two tools read two plaintexts")
fail_unless(refused == [None] * len(refused), "a changed payload, or a stranger, is let in")
fail_unless(belongs(meta, opened[0]), "the plaintext is of another capsule")
fail_unless(not belongs({**meta, 13: 1}, opened[0]), "a plaintext is moved")
other = opened[0].replace(b"hello", b"hullo")
fail_unless(not belongs(meta, other), "another text is taken for the committed one")

# A member learns the key of the epoch from the keyring, with any tool.
mine = [line for line in member.read_text().splitlines() if line.startswith("AGE-")][0]
keyring = cbor2.loads(first["meta.cbor"])
plaintext = rage(first["payload.age"], mine)
fail_unless(plaintext is not None and belongs(keyring, plaintext), "the keyring does not open")
fail_unless(secret.encode() in plaintext, "the keyring holds another key")

# We refuse what GNU tar packs of changed parts, each with its exit code.
for name, content, code in [
    ("payload.age", changed, 12),
    ("meta.cbor", later, 12),
    ("notes.txt", b"", 20),
]:
    file.write_bytes(tar(home, {**files, name: content}))
    home.run("verify", file, expect=code)
file.write_bytes(tar(home, {name: files[name] for name in files if name != "payload.age"}))
home.run("verify", file)
print(f"{len(opened)} readings agree, {len(refused)} refusals, and three changed files are refused")
