"""cryptography and Kapsule verify each other's signatures of every suite, and no changed ones."""

import base64
import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lib.kapsule import Home, fail_unless

SUITES = ["ed25519", "p256", "mldsa44", "secp256k1"]
CURVES = {"p256": ec.SECP256R1(), "secp256k1": ec.SECP256K1()}
ORDERS = {
    "p256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp256k1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
}
# Exit code 20: structure; 12: integrity.
STRUCTURE, INTEGRITY = 20, 12


def encoded(document):
    """The pre-authentication encoding of an envelope, written down from the DSSE protocol."""
    kind, payload = document["payloadType"].encode(), base64.b64decode(document["payload"])
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def signature_of(document):
    return base64.b64decode(document["signatures"][0]["sig"])


def public_key(suite, key):
    if suite == "ed25519":
        return ed25519.Ed25519PublicKey.from_public_bytes(key)
    if suite == "mldsa44":
        return mldsa.MLDSA44PublicKey.from_public_bytes(key)
    return ec.EllipticCurvePublicKey.from_encoded_point(CURVES[suite], key)


def private_key(suite, secret):
    if suite == "ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(secret)
    if suite == "mldsa44":
        return mldsa.MLDSA44PrivateKey.from_seed_bytes(secret)
    return ec.derive_private_key(int.from_bytes(secret, "big"), CURVES[suite])


def verifies(suite, key, message, signature):
    extra = [ec.ECDSA(SHA256())] if suite in CURVES else []
    try:
        public_key(suite, key).verify(signature, message, *extra)
        return True
    except InvalidSignature:
        return False


def sign(suite, secret, message):
    """Signs with cryptography; the value of s is as it comes, high or low."""
    extra = [ec.ECDSA(SHA256(), deterministic_signing=True)] if suite in CURVES else []
    return private_key(suite, secret).sign(message, *extra)


def with_s(suite, signature, *, high):
    """Returns an ECDSA signature with the high or the low s; both verify in other programs."""
    r, s = decode_dss_signature(signature)
    low, order = min(s, ORDERS[suite] - s), ORDERS[suite]
    return encode_dss_signature(r, order - low if high else low)


def check_ours(suite, key, document):
    """cryptography verifies our signature, and nothing that was changed."""
    message, signature = encoded(document), signature_of(document)
    changed = bytearray(signature)
    changed[len(changed) // 2] ^= 1
    stranger = strangers.public_keys("author")[suite][0]
    fail_unless(verifies(suite, key, message, signature), f"{suite}: ours does not verify")
    fail_unless(not verifies(suite, key, message + b"x", signature), f"{suite}: other message")
    fail_unless(not verifies(suite, key, message, bytes(changed)), f"{suite}: changed signature")
    fail_unless(not verifies(suite, stranger, message, signature), f"{suite}: other key")


def check_theirs(suite, secret, path, document):
    """Kapsule accepts a signature by cryptography in place of its own, and no changed one."""
    message, original = encoded(document), path.read_bytes()

    def replaced(signature, expect):
        entry = {"keyid": document["signatures"][0]["keyid"]}
        entry["sig"] = base64.b64encode(signature).decode()
        new = dict(document, signatures=[entry])
        path.write_text(json.dumps(new, sort_keys=True, separators=(",", ":")))
        home.run("verify", package, expect=expect)

    theirs = sign(suite, secret, message)
    if suite in CURVES:
        theirs = with_s(suite, theirs, high=False)
        fail_unless(theirs == signature_of(document), f"{suite}: RFC 6979 gives another signature")
        replaced(with_s(suite, theirs, high=True), STRUCTURE)
    elif suite == "ed25519":
        fail_unless(theirs == signature_of(document), "ed25519: another signature")
    replaced(theirs, 0)
    wrong = sign(suite, secret, message + b"x")
    replaced(with_s(suite, wrong, high=False) if suite in CURVES else wrong, INTEGRITY)
    replaced(theirs[:-1], STRUCTURE)
    path.write_bytes(original)
    home.run("verify", package)


def check_import(suite, secret, key):
    """A PEM by cryptography is imported as the same key."""
    pem = home.path / f"{suite}.pem"
    private = private_key(suite, secret)
    pem.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    name = f"imported-{suite}-key"
    if suite == "mldsa44":
        home.run("key", "new", name)
        home.run("key", "import", name, pem, "--add")
    else:
        home.run("key", "import", name, pem)
    fail_unless(home.public_keys(name)[suite][0] == key, f"{suite}: the PEM gives another key")


home, strangers = Home(*SUITES), Home(*SUITES)
package = home.package("trust", sign=False)
envelopes = home.envelopes(package)
fail_unless(set(envelopes) == set(SUITES), f"expected an envelope for each key, found {envelopes}")
home.run("verify", package)
for suite, (key, keyid) in home.public_keys("author").items():
    document = json.loads(envelopes[suite].read_bytes())
    exported = json.loads(home.run("key", "export", "author", "--secret", "--suite", suite))
    secret = bytes.fromhex(exported["key"])
    check_ours(suite, key, document)
    check_theirs(suite, secret, envelopes[suite], document)
    check_import(suite, secret, key)
    print(f"{suite}: cryptography and Kapsule agree on key {keyid}, and changed signatures fail")

envelopes["mldsa44"].unlink()
home.run("verify", package, expect=INTEGRITY)
print("without the signature of mldsa44 the package is refused")
