"""The command line that the check of every module has: input, compare and self-test."""

import argparse
import pathlib
import sys

import kcbor


def main(doc, *, arguments, make_input, compare, agrees, self_test, read_expected=None):
    """Runs the command that was given, and ends the process with its exit code.

    `arguments(parser)` declares what `input` takes besides `-o`; `make_input(parsed)` returns the
    input as a value; `compare(expected, output)` returns the differences as sentences, and a summary
    which follows the word `agrees` where there are none; `read_expected(path)` reads what `compare`
    is given first, a module's input unless it says otherwise.
    """
    given = _parse(doc, arguments)
    if given.command == "self-test":
        self_test()
    elif given.command == "input":
        given.output.write_bytes(kcbor.encode(make_input(given)))
    else:
        expected = (read_expected or read)(given.expected)
        wrong, summary = compare(expected, read(given.output))
        print("\n".join(wrong[:20]) or f"{agrees}: {summary}")
        sys.exit(1 if wrong else 0)


def read(path):
    """Decodes the item that a file holds."""
    return kcbor.decode(path.read_bytes())


def _parse(doc, arguments):
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("input")
    arguments(command)
    command.add_argument("-o", dest="output", type=pathlib.Path, required=True)
    command = commands.add_parser("compare")
    command.add_argument("expected", type=pathlib.Path)
    command.add_argument("output", type=pathlib.Path)
    commands.add_parser("self-test")
    return parser.parse_args()
