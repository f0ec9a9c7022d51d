"""openssl derives `capsule_hash` again, and notices a changed byte."""

import subprocess

from lib.kapsule import HASH_AT, Home, body_length, fail_unless


def openssl_sha3_256(data):
    done = subprocess.run(
        ["openssl", "dgst", "-sha3-256", "-r"], input=data, capture_output=True, check=True
    )
    return done.stdout.split()[0].decode()


def derived(data):
    body = bytearray(data[: body_length(data)])
    body[HASH_AT : HASH_AT + 32] = bytes(32)
    return openssl_sha3_256(bytes(body))


home = Home()
for name in ("trust", "rank"):
    path = home.package(name, sign=True)
    data = path.read_bytes()
    stated = data[HASH_AT : HASH_AT + 32].hex()
    fail_unless(derived(data) == stated, f"{name}: openssl derives {derived(data)}, not {stated}")
    shown = home.run("inspect", path, "--json")
    fail_unless(stated in shown, f"{name}: `inspect` does not show {stated}")

    # One bit of the payload, which lies behind the manifest.
    changed = bytearray(data)
    changed[body_length(data) // 2] ^= 1
    fail_unless(derived(bytes(changed)) != stated, f"{name}: a changed byte kept its hash")
    tampered = path.with_name(f"{name}-tampered.mod")
    tampered.write_bytes(changed)
    # Exit code 12: integrity.
    home.run("verify", tampered, expect=12)
    print(f"{name}: openssl agrees on {stated}, and a changed byte is refused")
