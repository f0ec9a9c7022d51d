"""Writes and reads the deterministic CBOR of module inputs and outputs, with nothing but Python."""


def encode(value):
    """Encodes bool, int, bytes, str, list, tuple, or dict with ascending integer keys."""
    if value is True or value is False:
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return head(3, len(text)) + text
    if isinstance(value, (list, tuple)):
        return head(4, len(value)) + b"".join(map(encode, value))
    if isinstance(value, Encoded):
        return value.item
    pairs = sorted(value.items())
    return head(5, len(pairs)) + b"".join(encode(key) + encode(item) for key, item in pairs)


class Encoded:
    """An item that is encoded already."""

    def __init__(self, item):
        self.item = item


def head(major, argument):
    """Encodes major type and argument in the shortest form."""
    if argument < 24:
        return bytes([major << 5 | argument])
    for short, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * size):
            return bytes([major << 5 | short]) + argument.to_bytes(size, "big")
    raise ValueError(f"{argument} does not fit 64 bits")


def decode(data):
    """Decodes one item that takes up all of `data`."""
    value, end = item(data, 0)
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes after the item")
    return value


def item(data, at):
    major, short = data[at] >> 5, data[at] & 31
    at += 1
    argument = short
    if short >= 24:
        size = 1 << (short - 24)
        argument = int.from_bytes(data[at : at + size], "big")
        at += size
    if major == 0:
        return argument, at
    if major in (2, 3):
        content = data[at : at + argument]
        return (content if major == 2 else content.decode()), at + argument
    if major == 4:
        values = []
        for _ in range(argument):
            value, at = item(data, at)
            values.append(value)
        return values, at
    if major == 5:
        pairs = {}
        for _ in range(argument):
            key, at = item(data, at)
            pairs[key], at = item(data, at)
        return pairs, at
    if major == 7 and argument in (20, 21):
        return argument == 21, at
    raise ValueError(f"major type {major} with {argument} at byte {at}")


def name(text):
    """Returns a CSV field as a name: a number if it is one, else text."""
    plain = text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")
    return int(text) if plain and int(text) < 1 << 53 else text
