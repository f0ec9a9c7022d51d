"""A keeper of trust files that is written in Python from spec/trust.md, and Kapsule, agree."""

import base64
import hashlib
import json
import shutil

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

from lib.kapsule import Home, fail_unless

PAYLOAD_TYPE = "application/vnd.in-toto+json"
# Exit codes: 11 policy and trust, 12 integrity.
POLICY, INTEGRITY = 11, 12


def rjson(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def statement(file):
    return rjson({
        "_type": "https://in-toto.io/Statement/v1",
        "predicate": {"schema": "kapsule/trust/1", "serial": json.loads(file)["serial"]},
        "predicateType": "urn:kapsule:file:v1",
        "subject": [{"digest": {"sha256": hashlib.sha256(file).hexdigest()}, "name": "trust.json"}],
    })


def encoded(payload):
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def companions(path):
    """Returns the companions of a trust file, and not those of the earlier files beside it."""
    found = [path.parent.glob(f"{path.name}.{suite}-*.dsse.json") for suite in public]
    return sorted(one for some in found for one in some)


def sign(path):
    """Signs a trust file with every key of `author` and writes its companions."""
    for suite, (_, keyid) in public.items():
        name = "author.key" if suite == "ed25519" else f"author.{suite}.key"
        secret = json.loads((home.path / "home/data/keys" / name).read_bytes())["key"]
        kinds = {
            "ed25519": ed25519.Ed25519PrivateKey.from_private_bytes,
            "mldsa44": mldsa.MLDSA44PrivateKey.from_seed_bytes,
        }
        payload = statement(path.read_bytes())
        signature = kinds[suite](bytes.fromhex(secret)).sign(encoded(payload))
        path.with_name(f"{path.name}.{suite}-{keyid}.dsse.json").write_bytes(rjson({
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": keyid, "sig": base64.b64encode(signature).decode()}],
        }))


def verifies(path, companion):
    """Tells whether cryptography verifies a companion over the statement of the specification."""
    suite, keyid = companion.name.removeprefix(path.name + ".").split(".")[0].split("-")
    kinds = {
        "ed25519": ed25519.Ed25519PublicKey.from_public_bytes,
        "mldsa44": mldsa.MLDSA44PublicKey.from_public_bytes,
    }
    envelope = json.loads(companion.read_bytes())
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    fail_unless(public[suite][1] == keyid, "a companion is named after another key")
    try:
        kinds[suite](public[suite][0]).verify(signature, encoded(statement(path.read_bytes())))
        return True
    except InvalidSignature:
        return False


home = Home("ed25519", "mldsa44")
public = home.public_keys("author")
package = home.package("rank", sign=True)
trust = home.path / "trust.json"
home.run("key", "trust", "author", "-o", trust)
verify = ["verify", package, "--trust", trust, "--require", "policy-enforced"]
home.run(*verify)

# Kapsule follows a successor that Python wrote and signed, and no changed one.
first = trust.read_bytes()
shutil.copy(trust, home.path / "trust.json.1")
document = json.loads(first)
document |= {"serial": 2, "previous": hashlib.sha256(first).hexdigest()}
trust.write_bytes(rjson(document))
home.run(*verify, expect=POLICY)
sign(trust)
shown = home.run(*verify)
fail_unless("serial 2, signed by 1 root identity of serial 1" in shown, f"not followed: {shown}")
second = trust.read_bytes()
trust.write_bytes(rjson(document | {"valid_until": 1}))
home.run(*verify, expect=INTEGRITY)
trust.write_bytes(second)

# Python verifies the companions of a successor that Kapsule wrote, and of no other file.
home.run("key", "trust", "--extends", trust, "--sign", "author", "-o", trust)
third = json.loads(trust.read_bytes())
fail_unless(third["previous"] == hashlib.sha256(second).hexdigest(), "another file before")
fail_unless(len(companions(trust)) == 2, "not one companion for each key")
fail_unless(all(verifies(trust, one) for one in companions(trust)), "a companion is not valid")
home.run(*verify)
shutil.copy(home.path / "trust.json.2", trust)
fail_unless(not any(verifies(trust, one) for one in companions(trust)), "another file is signed")
print("2 successors are followed on both sides, and changed ones are not")
