"""What checks of DSSE envelopes share: keys and verification as securesystemslib has them."""

import copy

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

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
