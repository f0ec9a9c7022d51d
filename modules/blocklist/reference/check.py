#!/usr/bin/env python3
"""Compares the blocklist module's output with the README's rules in another form.

    check.py input RULES.toml TABLE.tsv [--disguise SEED] -o INPUT.cbor     writes the module's input
    check.py compare INPUT.cbor OUTPUT.cbor                                 exit code 1 if they differ
    check.py self-test                                                      needs no file and no module

Characters are folded with Python's Unicode data and a list of lookalikes, text is cut with regular
expressions, and a pattern is matched by trying every way to place it; the module has tables, a
reader and bit states. `--disguise` rewrites words the way people do to get past a filter.
"""

import functools
import hashlib
import pathlib
import random
import re
import sys
import tomllib
import unicodedata

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "reference"))
import checker  # noqa: E402

LATIN = [range(0xC0, 0x250), range(0x1E00, 0x1F00)]
SPECIAL = dict(zip("\xe6\xf0\xf8\xfe\xdf\u0111\u0127\u0131\u0138\u0142\u014b\u0153\u0167\u0133\u0149\u0140\u017f", "adopsdhiklnotinls", strict=True))
STYLED = dict(zip(
    "\u0251\u0261\u0262\u0268\u026a\u0274\u0275\u0280\u028b\u028f\u0299\u029c\u029f\u1d00\u1d04\u1d05\u1d07\u1d0a"
    "\u1d0b\u1d0d\u1d0f\u1d18\u1d1b\u1d1c\u1d20\u1d21\u1d22\ua730\ua731",
    "aggiinorvybhlacdejkmoptuvwzfs", strict=True,
))
LOOKALIKES = dict(zip(
    # Greek, Cyrillic, Armenian, Cherokee.
    "\u03ac\u03ad\u03ae\u03af\u03b1\u03b2\u03b3\u03b5\u03b6\u03b7\u03b9\u03ba\u03bc\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03c9\u03cc\u03cd\u03ce\u03f2\u03f3"
    "\u0430\u0432\u0433\u0435\u043a\u043c\u043d\u043e\u043f\u0440\u0441\u0442\u0443\u0445\u044c\u0451\u0455\u0456\u0457\u0458\u0475\u04bb\u04cf\u0501\u050d\u051b\u051d"
    "\u0570\u0578\u057d\u0581\u0585"
    "\u13a0\u13a1\u13a2\u13aa\u13ab\u13ac\u13b3\u13b7\u13bb\u13c0\u13c3\u13d9\u13da\u13de\u13df\u13e2\u13e6\u13f4",
    "aeniabyezni" "kmvoptuxw" "ouwcj"
    "abrekmhonpctyxbesiijvhldgqw"
    "hnugo"
    "drtajewmhgzvslcpkb", strict=True,
))
HIDDEN = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
SYMBOLS = re.compile(
    "[\x80-\xb4\xb6-\xbf\xd7\xf7\u02b0-\u02ff\u2000-\u2bff\u2e00-\u2e7f\u3000-\u303f\ua700-\ua71f\ue000-\uf8ff\ufe10-\ufe6f\uff5f-\uff65"
    "\uffe0-\uffff\U0001f000-\U0001faff\U000f0000-\U0010ffff]"
)
LOOKS = str.maketrans("01i!|34@5$7+89", "olllleaassttbg")
TOP_LEVEL = "app biz club co com de dev eu fr info io link mobi net online org ru shop site top tv uk vip xyz".split()
BY_PATTERN, BY_AUTHOR, BY_DOMAIN, BY_LABELLER, BY_DISGUISE = 1, 2, 4, 8, 16


@functools.cache
def fold(char):
    """Returns (kind, character, Latin lookalike): p plain, s styled, f foreign, y symbol, and h, m, a, w."""
    if char.isascii() and char.isalnum():
        return "p", char.lower(), None
    if char in "'`\x91\x92\xb4\u2018\u2019\u02bc":
        return "a", "'", None
    if char.isspace() and char not in "\x1c\x1d\x1e\x1f" or ord(char) < 32 or char == "\x7f":
        return "w", " ", None
    if char.isascii():
        return "y", char, None
    if HIDDEN.match(char):
        return "h", "", None
    if MARKS.match(char):
        return "m", "", None
    latin = any(ord(char) in block for block in LATIN)
    plain = "".join(part for part in unicodedata.normalize("NFKD", char) if not unicodedata.combining(part))
    plain = plain.strip("()").lower()
    if latin:
        plain = SPECIAL.get(char.lower(), plain) if not (plain[:1].isascii() and plain[:1].isalpha()) else plain
        return ("p", plain[0], None) if plain[:1].isascii() and plain[:1].isalpha() else foreign(char)
    if char in STYLED:
        return "s", STYLED[char], None
    for first, last in ((0x1F150, 0x1F169), (0x1F170, 0x1F189), (0x1F1E6, 0x1F1FF)):
        if first <= ord(char) <= last:
            return "s", chr(ord("a") + ord(char) - first), None
    code = ord(char)
    regular = code in (0xAA, 0xB2, 0xB3, 0xB9, 0xBA, 0x2070, 0x2071, 0x207F, 0x24EA) or 0x2074 <= code <= 0x2079
    regular |= 0x2080 <= code <= 0x2089 or 0x2460 <= code <= 0x2468 or 0x249C <= code <= 0x24E9 or 0xFF01 <= code <= 0xFF5E
    regular |= 0x1D400 <= code <= 0x1D6A3 or 0x1D7CE <= code <= 0x1D7FF or 0x1F110 <= code <= 0x1F149
    regular |= char in "\u2102\u210a\u210b\u210c\u210d\u210e\u2110\u2111\u2112\u2113\u2115\u2119\u211a\u211b\u211c\u211d\u2124\u2128\u212c\u212d\u212f\u2130\u2131\u2133\u2134\u2139"
    if regular and 0xFF01 <= code <= 0xFF5E:
        return fold(chr(code - 0xFEE0)) if not chr(code - 0xFEE0).isalnum() else ("s", plain, None)
    if regular and len(plain) == 1 and plain.isascii() and plain.isalnum():
        return "s", plain, None
    if SYMBOLS.match(char):
        return "y", char, None
    return foreign(char)


def foreign(char):
    if SYMBOLS.match(char):
        return "y", char, None
    lower = char.lower()[0]
    return "f", lower, LOOKALIKES.get(char, LOOKALIKES.get(lower))


def skeleton(form):
    return re.sub(r"(.)\1+", r"\1", form.translate(LOOKS), flags=re.DOTALL)


def host(chunk):
    """Returns the host of a link or mail address, or None."""
    text = "".join(latin or char for kind, char, latin in chunk if kind not in "mhw")
    if "://" in text:
        told, rest = True, text.split("://", 1)[1]
    elif "www." in text:
        told, rest = True, text[text.index("www.") :]
    else:
        told, rest = False, text
    authority = re.split("[/?#]", rest)[0].rsplit("@", 1)[-1]
    found = re.search(r"[a-z0-9A-Z][a-zA-Z0-9.-]*", authority)
    if not found:
        return None
    name = found[0].rstrip(".-").removeprefix("www.")
    *rest, top = name.split(".")
    good = rest and all(rest) and re.fullmatch("[a-z]{2,24}", top) and (told or top in TOP_LEVEL)
    return name if good else None


class Token:
    def __init__(self, kind, form, looks=None, mixed=False):
        self.kind, self.form, self.looks, self.mixed = kind, form, looks, mixed


def word(run, hidden):
    """Makes a word of folded characters."""
    latin = any(kind in "ps" and char.isalpha() for kind, char, _ in run)
    others = [piece for piece in run if piece[0] == "f"]
    turn = latin or all(piece[2] for piece in others)
    form = "".join(piece[2] if turn and piece[2] else piece[1] for piece in run)
    mixed = bool(latin and others or any(piece[0] == "s" for piece in run) or hidden and latin)
    odd = mixed or any(piece[0] == "y" or piece[0] in "ps" and piece[1].isdigit() for piece in run)
    looks = skeleton(form) if odd or re.search(r"(.)\1\1", form) else None
    return Token("word", form, looks, mixed)


def is_digit(piece):
    return piece[0] in "ps" and piece[1] in "0123456789"


def is_letter(piece):
    return piece[0] in "psf" and not is_digit(piece)


def pieces_of(chunk):
    """Cuts a chunk at symbols into (symbol before, run, hidden); an empty run keeps its symbol."""
    seen = [piece for piece in chunk if piece[0] not in "aw"]
    runs, run, hidden, before = [], [], False, None
    for place, piece in enumerate(seen):
        kind, char, _ = piece
        after = seen[place + 1] if place + 1 < len(seen) else None
        if kind in "psf":
            run.append(piece)
        elif kind == "h":
            hidden |= bool(run)
        elif kind == "y":
            between = lambda test: bool(run and after and test(run[-1]) and test(after))  # noqa: B023,E731
            if char in "@$!|+" and between(is_letter):
                run.append(piece)
            elif not (char in ",.-" and between(is_digit)):
                runs.append((before, run, hidden))
                run, hidden, before = [], False, char
    return [*runs, (before, run, hidden)]


def tokens(text):
    made, letters, spaced = [], 0, False

    def spell():
        nonlocal letters
        if letters >= 3:
            form = "".join(token.form for token in made[-letters:])
            made.append(Token("word", form, skeleton(form), any(token.mixed for token in made[-letters:])))
        letters = 0

    for chunk in re.split(" +", "".join(" " if fold(char)[0] == "w" else char for char in text)):
        if not chunk:
            continue
        folded = [fold(char) for char in chunk]
        if name := host(folded):
            spell()
            made.append(Token("link", name))
            spaced = True
            continue
        for number, (before, run, hidden) in enumerate(pieces_of(folded)):
            if number:
                spaced = False
            money = before is not None and (before == "$" or "\xa2" <= before <= "\xa5" or "\u20a0" <= before <= "\u20cf")
            # Digits apart: four or more, or a run of nothing else.
            line = "".join("9" if is_digit(piece) else "x" for piece in run)
            parts = re.findall(r"9{4,}|(?:(?!9{4,}).)+", line)
            # Digits at the end of a run stand apart if nothing of a word precedes them.
            at = 0
            for part in parts:
                bit = run[at : at + len(part)]
                at += len(part)
                if set(part) == {"9"}:
                    digits = "".join(piece[1] for piece in bit)
                    kind, money = ("money" if money else "number"), False
                    last = made[-1] if made else None
                    if spaced and kind == "number" and last and last.kind == "number" and last.form[0] == "0" and len(last.form + digits) <= 15:
                        last.form += digits
                        spaced = True
                        continue
                    spell()
                    made.append(Token(kind, digits))
                else:
                    money = False
                    token = word(bit, hidden)
                    single = len(bit) == 1
                    if not single:
                        spell()
                    made.append(token)
                    letters = letters + 1 if single else 0
                spaced = True
        spaced = True
    spell()
    return made


def parse(pattern):
    """Returns the elements of a pattern."""
    elements = []
    for element in pattern.split(" "):
        if element.startswith(".."):
            elements.append(("gap", int(element[2:])))
        elif element in ("<money>", "<link>", "<any>"):
            elements.append((element[1:-1],))
        elif element.startswith("<"):
            least, _, most = element[1:-1].partition("-")
            elements.append(("number", int(least), int(most or least)))
        elif element.startswith("#"):
            elements.append(("digits", tokens(element[1:])[0].form))
        elif element.endswith("*"):
            elements.append(("prefix", tokens(element[:-1])[0].form))
        else:
            elements.append(("word", tokens(element)[0].form))
    return elements


def exact(element, token):
    """Returns whether a token passes an element as it is written."""
    kind, *rest = element
    if kind == "any":
        return True
    if kind == "number":
        return token.kind == "number" and rest[0] <= len(token.form) <= rest[1]
    if kind in ("money", "link"):
        return token.kind == kind
    if token.kind != "word":
        return False
    if kind == "word":
        return token.form == rest[0]
    if kind == "prefix":
        return token.form.startswith(rest[0])
    return re.fullmatch("[0-9]+" + re.escape(rest[0]), token.form) is not None


def by_looks(element, token):
    kind, *rest = element
    return kind == "word" and token.looks is not None and len(skeleton(rest[0]).encode()) >= 3 and skeleton(rest[0]) == token.looks


class Patterns:
    """All patterns; whether a token is recognised at all decides whether its looks count."""

    def __init__(self, patterns):
        self.patterns = [parse(pattern) for pattern in patterns]
        self.elements = sorted({e for p in self.patterns for e in p if e[0] not in ("any", "gap")}, key=repr)

    def find(self, made, exempt):
        passed, disguised = [], set()
        for place, token in enumerate(made):
            found = set() if place in exempt else {e for e in self.elements if exact(e, token)}
            if not found and place not in exempt:
                found = {e for e in self.elements if by_looks(e, token)}
                if found:
                    disguised.add(place)
            passed.append(found)

        def places(elements, at):
            """Yields where a pattern ends that begins at a token."""
            if not elements:
                yield at
                return
            first, *rest = elements
            if first[0] == "gap":
                for skip in range(first[1] + 1):
                    if at + skip <= len(made):
                        yield from places(rest, at + skip)
            elif at < len(made) and (first[0] == "any" or first in passed[at]):
                yield from places(rest, at + 1)

        spans = {}
        for number, elements in enumerate(self.patterns):
            for start in range(len(made)):
                for end in places(elements, start):
                    spans.setdefault(number, set()).add((start, end))
        return spans, disguised


def above(name):
    parts = name.split(".")
    return [".".join(parts[start:]) for start in range(len(parts))]


def key(name):
    kind = (int, bytes, str).index(type(name))
    return kind, name.encode() if kind == 2 else name


class Judge:
    def __init__(self, module_input):
        self.rules = rules = module_input[2]
        self.sets = [(label, cap, patterns) for label, cap, patterns in rules.get(0, [])]
        flat = [(number, *pair) for number, (_, _, patterns) in enumerate(self.sets) for pair in patterns]
        self.owner = [number for number, _, _ in flat]
        self.weights = [weight for _, _, weight in flat]
        self.blocked = Patterns([pattern for _, pattern, _ in flat])
        self.allow = rules.get(5, {})
        self.phrases = Patterns(self.allow.get(3, []))
        self.policy = {label: (warn, hide) for label, warn, hide in rules.get(1, [])}
        self.labels = self.holding(module_input.get(4, []), module_input[1])

    @staticmethod
    def holding(labels, now):
        groups = {}
        for label in labels:
            groups.setdefault((label[2], label[1], label[3]), []).append(label)
        held = set()
        for (uri, src, val), group in groups.items():
            last = max(group, key=lambda label: (label[5], not label.get(4, False), label.get(6, 2**64)))
            if not last.get(4, False) and last.get(6, 2**64) > now and last[5] <= now:
                held.add((uri, src, val))
        return held

    def allowed_host(self, name):
        return bool(set(above(name)) & set(self.allow.get(2, [])))

    def judge(self, item):
        name, author, text, domains = item
        allowed = author in self.allow.get(0, []) or name in self.allow.get(1, [])
        evidence, matched = {}, []

        def note(label, weight, source):
            score, sources = evidence.get(label, (0, 0))
            evidence[label] = score + weight, sources | source

        if not allowed:
            made = tokens(text)
            exempt = {place for spans in self.phrases.find(made, set())[0].values() for a, b in spans for place in range(a, b)}
            exempt |= {place for place, token in enumerate(made) if token.kind == "link" and self.allowed_host(token.form)}
            hosts = {token.form for token in made if token.kind == "link"} | set(domains)
            met = {domain for host in hosts if not self.allowed_host(host) for domain in above(host)}
            for domain, label, weight in self.rules.get(3, []):
                if domain in met:
                    note(label, weight, BY_DOMAIN)
            spans, disguised = self.blocked.find(made, exempt)
            matched = sorted(spans)
            for number, (label, cap, _) in enumerate(self.sets):
                weights = [self.weights[pattern] for pattern in matched if self.owner[pattern] == number]
                if weights:
                    note(label, min(cap, sum(weights)), BY_PATTERN)
            if 6 in self.rules:
                disguised |= {place for place, token in enumerate(made) if token.mixed and place not in exempt}
                if disguised:
                    note(self.rules[6][0], self.rules[6][1] * len(disguised), BY_DISGUISE)
            for listed, label, weight in self.rules.get(2, []):
                if listed == author:
                    note(label, weight, BY_AUTHOR)
        for src, weight in dict(map(tuple, self.rules.get(4, []))).items():
            values = {val for uri, by, val in self.labels if by == src and uri in (name, author)}
            for val in values:
                if not allowed or val.startswith("!"):
                    note(val, weight, BY_LABELLER)
        reasons = []
        for label in sorted(evidence):
            patterns = [pattern for pattern in matched if self.sets[self.owner[pattern]][0] == label]
            reasons.append([label, *evidence[label], patterns])
        return [name, max((self.action(*reason[:2]) for reason in reasons), default=0), allowed, reasons]

    def action(self, label, score):
        if label in ("!hide", "!warn"):
            return 2 if label == "!hide" else 1
        warn, hide = self.policy.get(label, (0, 0))
        return 2 if 0 < hide <= score else 1 if 0 < warn <= score else 0


def expected(module_input):
    judge = Judge(module_input)
    verdicts = [judge.judge(item) for item in module_input[3]]
    labels = [
        {0: 1, 1: module_input[5], 2: name, 3: label, 5: module_input[1]}
        for name, _, _, reasons in verdicts if 5 in module_input
        for label, score, _, _ in reasons if judge.action(label, score)
    ]
    return {0: 1, 1: verdicts, 2: labels}


def compare(module_input, output):
    """Returns the differences as sentences, and a summary."""
    expect = expected(module_input)
    texts = {item[0]: item[2] for item in module_input[3]}
    pairs = zip(output[1], expect[1], strict=False)
    wrong = [f"{found}, expected {right}: {texts.get(right[0])!r}" for found, right in pairs if found != right]
    if len(output[1]) != len(expect[1]):
        wrong.append(f"{len(output[1])} verdicts for {len(expect[1])} items")
    if output[2] != expect[2]:
        wrong.append("the labels differ")
    counts = [sum(verdict[1] == action for verdict in output[1]) for action in range(3)]
    return wrong, "{} shown, {} with a warning, {} hidden".format(*counts)


def rules_of(path):
    """Reads rules as `kapsule convert sms` does, of which it knows sets, policy and disguise."""
    table = tomllib.loads(pathlib.Path(path).read_text())
    sets = [[s["label"], s["cap"], [list(pair) for pair in sorted(s["patterns"].items())]] for s in table.get("set", [])]
    policy = [[label, limits["warn"], limits["hide"]] for label, limits in sorted(table.get("policy", {}).items())]
    rules = {0: sets, 1: policy, 2: [], 3: [], 4: [], 5: {0: [], 1: [], 2: [], 3: []}}
    if "disguise" in table:
        rules[6] = [table["disguise"]["label"], table["disguise"]["weight"]]
    return rules


def read_table(path):
    """Returns (label, text) for each line after the first."""
    lines = pathlib.Path(path).read_text(encoding="utf-8").split("\n")[1:]
    pairs = [line.split("\t", 1) for line in lines if line]
    return [(label, "".join(" " if ord(c) < 32 or c == "\x7f" else c for c in text)) for label, text in pairs]


def part_of(text):
    """Returns the half of the corpus that a text belongs to; equal texts are in one."""
    return "second" if hashlib.sha256(text.encode()).digest()[0] & 1 else "first"


def disguise(text, chance):
    """Rewrites some words the way people do to get past a filter."""
    lookalikes = {}
    for other, latin in {**LOOKALIKES, **STYLED}.items():
        lookalikes.setdefault(latin, []).append(other)
    digits = {"o": "0", "i": "1!", "l": "1|", "e": "3", "a": "4@", "s": "5$", "t": "7", "b": "8", "g": "9"}
    hidden = "\u200b\u200d\xad\u2060\ufe0f"
    styles = (0xFEE0, 0x1D400 - 0x41, 0x24B6 - 0x41, 0x1F130 - 0x41)
    words = []
    for text_word in text.split(" "):
        way = chance.randrange(14)
        if way == 0:
            text_word = "".join(chance.choice(lookalikes.get(c.lower(), [c])) if chance.random() < 0.5 else c for c in text_word)
        elif way == 1:
            text_word = "".join(c + chance.choice(["", chance.choice(hidden)]) for c in text_word)
        elif way == 2:
            text_word = chance.choice([" ", ".", "-"]).join(text_word)
        elif way == 3:
            text_word = "".join(chance.choice(digits.get(c.lower(), c)) if chance.random() < 0.6 else c for c in text_word)
        elif way == 4:
            text_word = "".join(c * chance.choice([1, 1, 3]) for c in text_word)
        elif way == 5:
            style = chance.choice(styles)
            text_word = "".join(chr(ord(c.upper()) + style) if c.isascii() and c.isalpha() else c for c in text_word)
        elif way == 6:
            text_word = "".join(c + chance.choice(["", "\u0301", "\u0336"]) for c in text_word)
        elif way == 7:
            text_word = "".join(chance.choice("\xe0\xeb\u012f\xf8\u1e61\u0442\u4e2d\U0001f600\xa3$@.") if chance.random() < 0.1 else c for c in text_word)
        words.append(text_word)
    return " ".join(words)


def read_input(rules, table, seed):
    chance = random.Random(seed)
    texts = [text for _, text in read_table(table)]
    if seed is not None:
        texts = [disguise(text, chance) for text in texts]
    return {0: 1, 1: 0, 2: rules, 3: [[number, 0, text, []] for number, text in enumerate(texts, 1)]}


def self_test():
    """Checks that a right output passes and that each kind of tampering is found."""
    for text, expect in (
        ("FREE entry, 2nd call 0800 169 6031!", "free entry 2nd call 08001696031"),
        ("fr\u0435e v1agra f r e e \u0421\u043a\u0438\u0434\u043a\u0430", "free v1agra f r e e free \u0441\u043a\u0438\u0434\u043a\u0430"),
        ("don't \uff26\uff32\uff25\uff25 www.x.example/a \xa32,000", "dont free x.example 2000"),
    ):
        found = " ".join(token.form for token in tokens(text))
        assert found == expect, found
    assert skeleton("v1agraaa") == skeleton("viagra") == "vlagra"
    rules = {
        0: [["spam", 900, [["free ..2 entry", 500], ["viagra", 600], ["<money>", 100]]]], 1: [["spam", 500, 900]],
        2: [["eve", "troll", 7]], 3: [["bad.example", "scam", 8]], 4: [["lab", 3]],
        5: {0: ["ada"], 2: ["good.bad.example"], 3: ["free entry form"]}, 6: ["evasion", 5],
    }
    labels = [{0: 1, 1: "lab", 2: 5, 3: "!hide", 5: 1}, {0: 1, 1: "lab", 2: 4, 3: "rude", 5: 1}, {0: 1, 1: "lab", 2: 4, 3: "rude", 4: True, 5: 2}]
    items = [
        [1, "bob", "free and easy entry for v1agra", []], [2, "bob", "free entry form $5", []],
        [3, "eve", "see www.a.bad.example", []], [4, "bob", "see www.good.bad.example", []], [5, "ada", "viagra", []],
    ]
    module_input = {0: 1, 1: 9, 2: rules, 3: items, 4: labels, 5: "me"}
    output = {
        0: 1,
        1: [
            [1, 2, False, [["evasion", 5, 16, []], ["spam", 900, 1, [0, 1]]]], [2, 0, False, [["spam", 100, 1, [2]]]],
            [3, 0, False, [["scam", 8, 4, []], ["troll", 7, 2, []]]], [4, 0, False, []], [5, 2, True, [["!hide", 3, 8, []]]],
        ],
        2: [{0: 1, 1: "me", 2: 1, 3: "spam", 5: 9}, {0: 1, 1: "me", 2: 5, 3: "!hide", 5: 9}],
    }
    wrong, summary = compare(module_input, output)
    assert not wrong, wrong
    for tampered in ({1: output[1][1:]}, {2: []}, *({1: [[*row[:1], 1, *row[2:]], *output[1][1:]]} for row in output[1][:1])):
        assert compare(module_input, output | tampered)[0], f"{tampered} passed"
    print(f"self-test passed: {summary}; 3 tampered outputs found")


def arguments(parser):
    parser.add_argument("rules")
    parser.add_argument("table")
    parser.add_argument("--disguise", type=int)


if __name__ == "__main__":
    checker.main(
        __doc__, arguments=arguments, make_input=lambda given: read_input(rules_of(given.rules), given.table, given.disguise),
        compare=compare, agrees="agrees with the other form of the rules", self_test=self_test,
    )
