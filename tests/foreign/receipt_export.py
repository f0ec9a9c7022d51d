"""securesystemslib verifies exported receipts of suites 1 and 2, and refuses changed ones.

The in-toto statement says what a reader of the envelope alone has to know: which receipt, whose,
for which nonce, and which output; `sha256sum` of the output file finds it.
"""

import base64
import copy
import hashlib
import json

from lib.dsse import TYPES, foreign_key, verifies
from lib.kapsule import ROOT, Home, fail_unless

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
NONCE = "5a" * 32


def changed(document, change):
    other = copy.deepcopy(document)
    change(other)
    return other


def flip_payload(document):
    payload = document["payload"]
    document["payload"] = ("A" if payload[0] != "A" else "B") + payload[1:]


def flip_signature(document):
    signature = base64.b64decode(document["signatures"][0]["sig"])
    forged = signature[:-1] + bytes([signature[-1] ^ 1])
    document["signatures"][0]["sig"] = base64.b64encode(forged).decode()


home = Home(*TYPES)
package = home.package("trust", sign=True)
source = ROOT / "examples/data/trust-sample.csv"
home.run("convert", "otc", source, "--viewer", "ada", "-o", "trust.input")
run = ["run", package, "--grant", "trust.graph", "--input", "trust.input", "--output", "scores"]
home.run(*run, "--receipt", "trust.cap", "--key", "author", "--nonce", NONCE)
receipt_id = json.loads(home.run("inspect", "trust.cap", "--json"))["receipt_id"]
output = hashlib.sha256((home.path / "scores").read_bytes()).hexdigest()
home.run("receipt", "export", "trust.cap", "--form", "statement", "-o", "statement.json")
statement = (home.path / "statement.json").read_bytes()

for suite, (key_bytes, keyid) in home.public_keys("author").items():
    key = foreign_key(suite, key_bytes, keyid)
    export = ["receipt", "export", "trust.cap", "--keyid", keyid]
    home.run(*export, "--form", "dsse", "-o", "one.dsse.json")
    home.run(*export, "--form", "sigstore", "-o", "one.sigstore.json")
    document = json.loads((home.path / "one.dsse.json").read_bytes())
    bundle = json.loads((home.path / "one.sigstore.json").read_bytes())
    fail_unless(verifies(document, key), f"{suite}: the exported envelope does not verify")
    fail_unless(bundle["mediaType"] == MEDIA_TYPE, f"{suite}: another media type")
    fail_unless(bundle["verificationMaterial"]["publicKey"]["hint"] == keyid, "another hint")
    fail_unless(bundle["dsseEnvelope"] == document, f"{suite}: the bundle has another envelope")
    payload = base64.b64decode(document["payload"])
    fail_unless(payload == statement, f"{suite}: the payload is another statement")
    stated = json.loads(payload)
    digests = {subject["name"]: subject["digest"]["sha256"] for subject in stated["subject"]}
    expected = {"claim.cbor": receipt_id, "output": output}
    fail_unless(digests == expected, f"{suite}: the subjects are {digests}")
    fail_unless(stated["predicate"]["nonce"] == NONCE, f"{suite}: another nonce")
    for change in (flip_payload, flip_signature):
        forged = changed(document, change)
        fail_unless(not verifies(forged, key), f"{suite}: {change.__name__} verifies")
        (home.path / "forged.json").write_text(json.dumps(forged))
        home.run("receipt", "import", "trust.cap", "forged.json", "-o", "x.cap", expect=12)
    home.run("receipt", "import", "trust.cap", "one.sigstore.json", "-o", "again.cap")
    same = (home.path / "again.cap").read_bytes() == (home.path / "trust.cap").read_bytes()
    fail_unless(same, f"{suite}: a signature that comes back changes the receipt")
    print(f"securesystemslib verifies the exported receipt by {suite} key {keyid}; 2 forgeries fail")
