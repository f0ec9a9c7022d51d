"""securesystemslib verifies author envelopes of suites 1 and 2, and refuses changed ones."""

import copy
import json

from securesystemslib.signer._utils import compute_default_keyid

from lib.dsse import TYPES, foreign_key, verifies
from lib.kapsule import Home, fail_unless

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
