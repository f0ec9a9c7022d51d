"""securesystemslib verifies the author's envelope, and refuses a changed one."""

import copy
import json

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
from securesystemslib.signer._utils import compute_default_keyid

from lib.kapsule import Home, fail_unless


def verifies(document, key):
    # `from_dict` consumes its argument.
    envelope = Envelope.from_dict(copy.deepcopy(document))
    try:
        return set(envelope.verify([key], 1)) == {key.keyid}
    except VerificationError:
        return False


home = Home()
path = home.package("trust", sign=False)
home.run("sign", path, "--key", "author", "--detached")
found = sorted(path.parent.glob("trust.mod.*.dsse.json"))
fail_unless(len(found) == 1, f"expected one detached envelope, found {found}")
document = json.loads(found[0].read_bytes())

public = (home.path / "home" / "data" / "keys" / "author.pub").read_text().split()[1]
suite, key_bytes = public.split(":")
keyid = document["signatures"][0]["keyid"]
key = SSlibKey(keyid, "ed25519", "ed25519", {"public": key_bytes})
derived = compute_default_keyid("ed25519", "ed25519", {"public": key_bytes})
fail_unless(suite == "ed25519", f"unexpected suite {suite}")
fail_unless(derived == keyid, f"securesystemslib derives key id {derived}, not {keyid}")
fail_unless(verifies(document, key), "the author's envelope does not verify")

other_statement = copy.deepcopy(document)
payload = other_statement["payload"]
other_statement["payload"] = ("A" if payload[0] != "A" else "B") + payload[1:]
fail_unless(not verifies(other_statement, key), "a changed statement verifies")

other_type = copy.deepcopy(document)
other_type["payloadType"] = "application/json"
fail_unless(not verifies(other_type, key), "a changed payload type verifies")

home.run("key", "new", "stranger")
stranger = (home.path / "home" / "data" / "keys" / "stranger.pub").read_text().split()[1]
wrong = SSlibKey(keyid, "ed25519", "ed25519", {"public": stranger.split(":")[1]})
fail_unless(not verifies(document, wrong), "the envelope verifies under a stranger's key")
print(f"securesystemslib verifies the envelope of key {keyid}, and three changed ones fail")
