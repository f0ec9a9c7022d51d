"""Times other people's verifiers of the same signature beside ours, on one exported receipt.

Usage: receipt.py PATH-OF-KAPSULE NODE-MODULES, with a Python that has cryptography,
in-toto-attestation and securesystemslib. Each row is the shortest time of a verifier, taken in
turn with its peer in the same row; the processes of all rows do nothing but verify one file.
"""

import base64
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from google.protobuf.json_format import ParseDict
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as Message
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROCESSES, ROUNDS = 30, 500

NODE = """
const { createPublicKey } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { bundleFromJSON } = require("@sigstore/bundle");
const { Verifier, toSignedEntity } = require("@sigstore/verify");
const [file, hex, rounds] = process.argv.slice(2);
const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), Buffer.from(hex, "hex")]);
const publicKey = createPublicKey({ key: der, format: "der", type: "spki" });
const none = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
const trust = { ...none, publicKey: () => ({ publicKey, validFor: () => true }) };
const options = { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 };
const verifier = new Verifier(trust, options);
const text = readFileSync(file, "utf8");
let best = Infinity;
for (let round = 0; round < Number(rounds); round += 1) {
  const start = process.hrtime.bigint();
  verifier.verify(toSignedEntity(bundleFromJSON(JSON.parse(text))));
  best = Math.min(best, Number(process.hrtime.bigint() - start));
}
console.log(best / 1e9);
"""

PYTHON = """
import json, sys
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
key = SSlibKey(sys.argv[2], "ed25519", "ed25519", {"public": sys.argv[3]})
Envelope.from_dict(json.load(open(sys.argv[1]))).verify([key], 1)
"""


def shortest(rounds, *tasks):
    """Returns the shortest time of each task, taken in turn."""
    best = [float("inf")] * len(tasks)
    for _ in range(rounds):
        for place, task in enumerate(tasks):
            start = time.perf_counter()
            task()
            best[place] = min(best[place], time.perf_counter() - start)
    return best


def main(command, modules):
    folder = tempfile.TemporaryDirectory(prefix="kapsule-peers-")
    home = pathlib.Path(folder.name)

    def kapsule(*arguments):
        environment = {"KAPSULE_HOME": str(home / "home"), "PATH": "/usr/bin:/bin"}
        call = [command, *map(str, arguments)]
        return subprocess.run(call, cwd=home, env=environment, check=True, capture_output=True).stdout

    kapsule("key", "new", "alice")
    manifest = ROOT / "examples/packages/trust.toml"
    payload = ROOT / "modules/artifacts/trust.wasm"
    kapsule("pack", manifest, "--payload", payload, "--key", "alice", "-o", "trust.mod")
    sample = ROOT / "examples/data/trust-sample.csv"
    kapsule("convert", "otc", sample, "--viewer", "ada", "-o", "trust.input")
    run = ["run", "trust.mod", "--grant", "trust.graph", "--input", "trust.input", "--output", "o"]
    kapsule(*run, "--receipt", "trust.cap")
    kapsule("receipt", "export", "trust.cap", "-o", "one.dsse.json")
    kapsule("receipt", "export", "trust.cap", "--form", "sigstore", "-o", "one.bundle.json")
    shown = json.loads(kapsule("key", "show", "alice", "--json"))["keys"][0]
    public, keyid = shown["public"].split(":")[1], shown["keyid"]
    (home / "verify.cjs").write_text(NODE)
    (home / "verify.py").write_text(PYTHON)
    (home / "node_modules").symlink_to(pathlib.Path(modules).resolve())

    document = (home / "one.dsse.json").read_text()
    key = SSlibKey(keyid, "ed25519", "ed25519", {"public": public})
    statement = json.loads(base64.b64decode(json.loads(document)["payload"]))

    def in_toto():
        Statement.copy_from_pb(ParseDict(statement, Message())).validate()

    library, parsed = shortest(
        ROUNDS, lambda: Envelope.from_dict(json.loads(document)).verify([key], 1), in_toto
    )
    node = ["node", "verify.cjs", "one.bundle.json", public]
    in_node = subprocess.run([*node, str(ROUNDS)], cwd=home, check=True, capture_output=True)

    def process(*call):
        return lambda: subprocess.run(call, cwd=home, check=True, capture_output=True)

    processes = shortest(
        PROCESSES,
        lambda: kapsule("verify", "trust.cap", "--json"),
        process(sys.executable, "verify.py", "one.dsse.json", keyid, public),
        process(*node, "1"),
    )
    print(f"securesystemslib, in its process, one envelope: {library * 1e3:.2f} ms")
    print(f"in-toto-attestation, in its process, its statement alone: {parsed * 1e3:.2f} ms")
    print(f"@sigstore/verify, in its process, one bundle: {float(in_node.stdout) * 1e3:.2f} ms")
    for name, seconds in zip(("kapsule verify", "securesystemslib", "@sigstore/verify"), processes):
        print(f"{name}, whole process: {seconds * 1e3:.1f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
