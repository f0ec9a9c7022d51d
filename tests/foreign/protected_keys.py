"""Age tools open our protected key files with the passphrase, and we sign with what they protect.

With Debian's `age` where it is installed, and with pyrage, the Python binding of rage, always.
"""

import os
import pty
import shutil

import pyrage

from lib.kapsule import Home, fail_unless

PASSPHRASE = "correct horse"


def age(arguments, answers):
    """Runs `age`, which asks its terminal for passphrases, and returns whether it succeeded."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("age", ["age", *map(str, arguments)])
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 1024)
        except OSError:  # The way in which Linux says that the other side is gone.
            break
        if not piece:
            break
        shown += piece
        if answers and b":" in shown:
            os.write(terminal, answers.pop(0).encode() + b"\n")
            shown = b""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def pyrage_opens(file, passphrase):
    try:
        return bytes(pyrage.passphrase.decrypt(file, passphrase))
    except pyrage.DecryptError:
        return None


home = Home("ed25519", "mldsa44")
keys = home.path / "home" / "data" / "keys"
secrets = [keys / "author.key", keys / "author.mldsa44.key"]
plain = [path.read_bytes() for path in secrets]
passphrase = home.path / "passphrase"
passphrase.touch(mode=0o600)
passphrase.write_text(PASSPHRASE + "\n")
by_file = ["--passphrase-file", passphrase]
home.run("key", "protect", "author", *by_file, "--work-factor", 12)
readings = 0
for path, expect in zip(secrets, plain):
    file = path.read_bytes()
    fail_unless(pyrage_opens(file, PASSPHRASE) == expect, f"pyrage reads another {path.name}")
    fail_unless(pyrage_opens(file, "mule") is None, "a wrong passphrase opens a key")
    fail_unless(pyrage_opens(file[:-1], PASSPHRASE) is None, "a cut file is opened")
    readings += 1
    if shutil.which("age"):
        out = home.path / "out"
        opened = age(["-d", "-o", out, path], [PASSPHRASE])
        fail_unless(opened and out.read_bytes() == expect, f"age reads another {path.name}")
        fail_unless(not age(["-d", "-o", home.path / "none", path], ["mule"]), "age opens it")
        readings += 1

package = home.package("rank", sign=False)
home.run("sign", package, "--key", "author", *by_file)
makers = {"pyrage": pyrage.passphrase.encrypt(plain[0], PASSPHRASE)}
if shutil.which("age"):
    given, made = home.path / "given", home.path / "made"
    given.write_bytes(plain[0])
    fail_unless(age(["-p", "-o", made, given], [PASSPHRASE] * 2), "age protects nothing")
    makers["age"] = made.read_bytes()
else:
    print("skipped: no age command here, pyrage alone is asked")
for maker, file in makers.items():
    secrets[0].write_bytes(file)
    home.run("sign", package, "--key", "author", "--scope", "publisher", *by_file)
    secrets[0].write_bytes(file[:-1] + bytes([file[-1] ^ 1]))
    # Exit code 15: the file is no key file that this passphrase opens.
    home.run("sign", package, "--key", "author", "--scope", "publisher", *by_file, expect=15)
    print(f"{maker}: a key that it protects signs, and a changed one does not")
print(f"{readings} readings of our protected keys agree")
