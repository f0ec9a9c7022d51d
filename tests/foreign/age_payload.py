"""age opens what we encrypt, we open what age encrypts, and neither opens a changed file.

With Debian's `age` where it is installed, and with pyrage, the Python binding of rage, always.
"""

import hashlib
import json
import shutil
import struct
import subprocess

import pyrage

from lib.kapsule import HEADER_BYTES, Home, fail_unless


def tagged(tag, *parts):
    data = bytes([len(tag)]) + tag.encode()
    for part in parts:
        data += struct.pack(">Q", len(part)) + part
    return hashlib.sha256(data).digest()


def sections(data):
    manifest, payload, proof, depmap, policy = struct.unpack(">IQIII", data[5:29])
    at = HEADER_BYTES
    result = []
    for length in (manifest, payload, proof, depmap, policy):
        result.append(data[at : at + length])
        at += length
    return result


def rjson(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def tree_root(leaves):
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    halves = tree_root(leaves[:split]) + tree_root(leaves[split:])
    return hashlib.sha256(b"\1" + halves).digest()


def with_payload(data, payload):
    """Returns the body of a package with another payload, unsigned."""
    manifest, _, proof, depmap, policy = sections(data)
    manifest = json.loads(manifest)
    chunks = [payload[at : at + 65_536] for at in range(0, len(payload), 65_536)]
    manifest["exec"]["chunk_root"] = tree_root(chunks).hex()
    manifest["exec"]["hash"] = "sha256:" + hashlib.sha256(payload).hexdigest()
    manifest["exec"]["size"] = len(payload)
    manifest = rjson(manifest)
    lengths = map(len, (manifest, payload, proof, depmap, policy))
    head = data[:5] + struct.pack(">IQIII", *lengths)
    rest = manifest + payload + proof + depmap + policy
    return head + hashlib.sha3_256(head + bytes(32) + rest).digest() + rest


def age(*arguments, given):
    done = subprocess.run(["age", *arguments], input=given, capture_output=True)
    return done.stdout if done.returncode == 0 else None


def pyrage_opens(payload, secret):
    try:
        return bytes(pyrage.decrypt(payload, [pyrage.x25519.Identity.from_str(secret)]))
    except pyrage.DecryptError:
        return None


home = Home()
identity = pyrage.x25519.Identity.generate()
theirs = home.path / "theirs.ageid"
theirs.touch(mode=0o600)
theirs.write_text(f"# made by pyrage\n{identity}\n")
home.run("key", "recipient", "ours")
ours = home.path / "home" / "data" / "keys" / "ours.ageid"
ours_secret = [line for line in ours.read_text().splitlines() if line.startswith("AGE-")][0]
ours_recipient = ours.with_suffix(".agepub").read_text().strip()

path = home.package("rank", sign=False)
module = sections(path.read_bytes())[1]
home.package("rank", sign=False, encrypt_to=["ours", str(identity.to_public())])
data = path.read_bytes()
manifest, payload, _, _, policy = sections(data)
stated = json.loads(manifest)
changed = bytearray(payload)
changed[-1] ^= 1

# Foreign tools open it and find what the specification says.
opened = [pyrage_opens(payload, secret) for secret in (str(identity), ours_secret)]
refused = [pyrage_opens(bytes(changed), str(identity))]
if shutil.which("age"):
    opened += [age("-d", "-i", str(file), given=payload) for file in (theirs, ours)]
    refused += [age("-d", "-i", str(theirs), given=bytes(changed))]
else:
    print("skipped: no age command here, pyrage alone is asked")
fail_unless(len(set(opened)) == 1, "two tools read two plaintexts")
plaintext = opened[0]
fail_unless(plaintext is not None, "no tool opens the payload")
fail_unless(refused == [None] * len(refused), "a changed payload is opened")
magic, salt, binding = plaintext[:4], plaintext[4:36], plaintext[36:68]
fail_unless(magic == b"KPL1" and plaintext[68:] == module, "another plaintext")
commitment = tagged("kapsule/mod/module/v1", salt, module).hex()
fail_unless(commitment == stated["exec"]["encrypted"]["commitment"], "another commitment")
author = bytes.fromhex(json.loads(home.run("key", "show", "author", "--json"))["identity"])
expect = tagged("kapsule/mod/binding/v1", stated["name"].encode(), stated["version"].encode(),
                author, hashlib.sha256(policy).digest())
fail_unless(binding == expect, "another binding")

# We open what they encrypt, and refuse a changed one after it was signed again.
makers = {"pyrage": pyrage.encrypt(plaintext, [pyrage.x25519.Recipient.from_str(ours_recipient)])}
if shutil.which("age"):
    makers["age"] = age("-r", ours_recipient, given=plaintext)
for maker, ciphertext in makers.items():
    stated["exec"]["encrypted"]["stanzas"] = ["X25519"]
    manifest = rjson(stated)
    template = data[:5] + struct.pack(">I", len(manifest)) + data[9:HEADER_BYTES] + manifest
    template += data[HEADER_BYTES + len(sections(data)[0]) :]
    path.write_bytes(with_payload(template, ciphertext))
    home.run("sign", path, "--key", "author")
    shown = home.run("verify", path)
    fail_unless("opened          pass" in shown, f"a file of {maker} is not opened: {shown}")
    broken = ciphertext[:-1] + bytes([ciphertext[-1] ^ 1])
    path.write_bytes(with_payload(template, broken))
    home.run("sign", path, "--key", "author")
    # Exit code 13: the payload is whole and signed, and nobody's key opens it.
    home.run("run", path, expect=13)
    print(f"{maker}: its file is opened, and a changed one is not")
print(f"{len(opened)} readings of our payload agree, and a changed one is refused")
