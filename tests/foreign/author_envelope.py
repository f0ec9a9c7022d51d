"""securesystemslib verifies author envelopes of suites 1 and 2, and refuses changed ones."""

import copy
import json

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
from securesystemslib.signer._utils import compute_default_keyid

from lib.kapsule import Home, fail_unless

TYPES = {"ed25519": ("ed25519", "ed25519"), "p256": ("ecdsa", "ecdsa-sha2-nistp256")}


def public_value(suite, key):
    """Returns a key as securesystemslib has it: hex, or PEM of an uncompressed point."""
    if suite == "ed25519":
        return key.hex()
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
    return point.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def foreign_key(suite, key, keyid):
    return SSlibKey(keyid, *TYPES[suite], {"public": public_value(suite, key)})


def verifies(document, key):
    # `from_dict` consumes its argument.
    envelope = Envelope.from_dict(copy.deepcopy(document))
    try:
        return set(envelope.verify([key], 1)) == {key.keyid}
    except VerificationError:
        return False


home = Home(*TYPES)
strangers = Home(*TYPES)
keys = home.public_keys("author")
envelopes = home.envelopes(home.package("trust", sign=False))
fail_unless(set(envelopes) == set(TYPES), f"expected an envelope for each key, found {envelopes}")
for suite, (key_bytes, keyid) in keys.items():
    document = json.loads(envelopes[suite].read_bytes())
    key = foreign_key(suite, key_bytes, keyid)
    derived = compute_default_keyid(*TYPES[suite], key.keyval)
    fail_unless(document["signatures"][0]["keyid"] == keyid, f"{suite}: another key id")
    fail_unless(derived == keyid, f"securesystemslib derives key id {derived}, not {keyid}")
    fail_unless(verifies(document, key), f"{suite}: the author's envelope does not verify")

    other_statement = copy.deepcopy(document)
    payload = other_statement["payload"]
    other_statement["payload"] = ("A" if payload[0] != "A" else "B") + payload[1:]
    fail_unless(not verifies(other_statement, key), f"{suite}: a changed statement verifies")

    other_type = copy.deepcopy(document)
    other_type["payloadType"] = "application/json"
    fail_unless(not verifies(other_type, key), f"{suite}: a changed payload type verifies")

    stranger = foreign_key(suite, strangers.public_keys("author")[suite][0], keyid)
    fail_unless(not verifies(document, stranger), f"{suite}: verifies under a stranger's key")
    print(f"securesystemslib verifies the envelope of {suite} key {keyid}; three changed ones fail")
