//! Archives: those that are containers, and those that are not.

use super::{Vector, vector};

/// Bytes of a block.
const BLOCK: usize = 512;

/// Returns an archive of these entries in this order, whether or not it is a container.
pub(super) fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    for (name, bytes) in entries {
        let start = file.len();
        file.resize(start + BLOCK, 0);
        let header = &mut file[start..];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..124].copy_from_slice(b"0000644\x000000000\x000000000\0");
        header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
        header[136..147].copy_from_slice(b"00000000000");
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[329..345].copy_from_slice(b"0000000\x000000000\0");
        put_sum(&mut file, start);
        file.extend_from_slice(bytes);
        file.resize(file.len().next_multiple_of(BLOCK), 0);
    }
    file.resize(file.len() + 2 * BLOCK, 0);
    file
}

/// Writes the sum of the header at `start`.
fn put_sum(file: &mut [u8], start: usize) {
    let header = &mut file[start..start + BLOCK];
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Returns an archive whose first header holds other bytes at `offset`, under a right sum.
fn patched(offset: usize, with: &[u8]) -> Vec<u8> {
    let mut file = tar(&[("claim.cbor", b"a"), ("x/b", b"bb")]);
    file[offset..offset + with.len()].copy_from_slice(with);
    put_sum(&mut file, 0);
    file
}

/// Returns every vector of the group.
pub(super) fn all() -> Vec<Vector> {
    [accepted(), headers(), names(), files()].concat()
}

fn accepted() -> Vec<Vector> {
    let long = "x/".to_owned() + &"b".repeat(97);
    let content = [1; BLOCK + 1];
    let example: [(&str, &[u8]); 4] =
        [("meta.cbor", b"a"), ("sig/x", b"bb"), ("payload.age", &[b'c'; 513]), ("logic.mod", b"")];
    let accept = |name: &str, why, entries: &[(&str, &[u8])]| {
        let bytes = tar(entries);
        let kind = entries[0].0;
        let expect = format!("{kind}, {} entries, {} bytes", entries.len(), bytes.len());
        vector("container", name, why, &expect, bytes)
    };
    vec![
        accept("one-entry", "an index alone", &[("claim.cbor", b"a")]),
        accept("empty-index", "its reader refuses it, not that of the form", &[("pack.cbor", b"")]),
        accept("four-entries", "every group of entries, one of no bytes", &example),
        accept("block-511", "one byte of padding", &[("bundle.cbor", &content[2..])]),
        accept("block-512", "no padding", &[("bundle.cbor", &content[1..])]),
        accept("block-513", "a block with one byte", &[("bundle.cbor", &content)]),
        accept("name-99", "the longest name", &[("snapshot.cbor", b"a"), (&long, b"")]),
    ]
}

/// A name, why it is refused, where the header is patched, with what, and the byte to blame: the
/// sum of the header stands before what follows it.
type Header = (&'static str, &'static str, usize, &'static [u8], usize);

const HEADERS: [Header; 11] = [
    ("mtime", "times are no part of a container", 146, b"1", 146),
    ("mode", "modes are no part of a container", 103, b"0600", 105),
    ("uid", "owners are no part of a container", 114, b"1", 114),
    ("user-name", "owners are no part of a container", 265, b"root", 150),
    ("pax", "an extended header says what the form leaves out", 156, b"x", 151),
    ("symbolic-link", "an entry is a file", 156, b"2", 153),
    ("directory", "an entry is a file", 156, b"5", 153),
    ("gnu-magic", "another form of tar", 257, b"ustar  \0", 151),
    ("octal-space", "sizes have one form", 124, b"          1", 124),
    ("octal-letter", "a size is a number", 134, b"x", 134),
    ("prefix-field", "names stand in one field", 345, b"a", 151),
];

fn headers() -> Vec<Vector> {
    let made = HEADERS.iter().map(|(name, why, offset, bytes, blamed)| {
        let code = format!("E020_CONTAINER_HEADER at offset {blamed}");
        vector("container", name, why, &code, patched(*offset, bytes))
    });
    made.collect()
}

/// The entries that the others stand behind.
const FIRST: (&str, &[u8]) = ("claim.cbor", b"a");

/// A name, why it is refused, the code, and the names of the entries after the index.
type Names = (&'static str, &'static str, &'static str, &'static [&'static str]);

const NAMES: [Names; 10] = [
    ("upper-case", "names have one case", "E021_CONTAINER_NAME at offset 1024", &["x/B"]),
    ("parent-folder", "a name leads nowhere", "E021_CONTAINER_NAME at offset 1024", &[".."]),
    ("absolute", "a name leads nowhere", "E021_CONTAINER_NAME at offset 1024", &["/x"]),
    ("trailing-slash", "no part is empty", "E021_CONTAINER_NAME at offset 1024", &["x/"]),
    ("duplicate", "a name stands once", "E022_CONTAINER_ORDER at offset 1536", &["x/b", "x/b"]),
    ("order", "names ascend", "E022_CONTAINER_ORDER at offset 1536", &["x/c", "x/b"]),
    ("signature-late", "envelopes first", "E022_CONTAINER_ORDER at offset 1536", &["x/a", "sig/b"]),
    ("index-late", "an index first", "E022_CONTAINER_ORDER at offset 1536", &["x/b", "meta.cbor"]),
    ("index-before", "the index first", "E022_CONTAINER_ORDER at offset 1024", &["bundle.cbor"]),
    ("name-inside-name", "no file system holds both", "E022_CONTAINER_ORDER", &["x/b", "x/b/c"]),
];

fn names() -> Vec<Vector> {
    let made = NAMES.iter().map(|(name, why, code, names)| {
        let behind = names.iter().map(|name| (*name, b"".as_slice()));
        let entries: Vec<(&str, &[u8])> = [FIRST].into_iter().chain(behind).collect();
        vector("container", name, why, code, tar(&entries))
    });
    made.collect()
}

fn files() -> Vec<Vector> {
    let good = tar(&[FIRST, ("x/b", b"bb")]);
    let at = |offset: usize, byte: u8| {
        let mut file = good.clone();
        file[offset] = byte;
        file
    };
    let (no_end, cut) = (good[..2560].to_vec(), good[..1700].to_vec());
    let longer = [&good[..], &[0; BLOCK]].concat();
    let no_index = tar(&[("x/b", b"")]);
    let long = patched(124, b"10000000001");
    [
        (
            "header-sum",
            "it is part of the form",
            "E020_CONTAINER_HEADER at offset 148",
            at(148, b'7'),
        ),
        ("padding", "padding is NUL", "E023_CONTAINER_PADDING at offset 600", at(600, 1)),
        ("end-block", "two blocks of NUL", "E023_CONTAINER_PADDING at offset 3000", at(3000, 1)),
        ("end-missing", "two blocks of NUL end it", "E002_TRUNCATED at offset 2560", no_end),
        ("end-extra", "the file ends there", "E003_TRAILING_BYTES at offset 3072", longer),
        ("content-missing", "an entry is whole", "E002_TRUNCATED at offset 1700", cut),
        ("empty", "a file of no bytes", "E002_TRUNCATED at offset 0", Vec::new()),
        ("no-index", "the first name is known", "E001_UNKNOWN_FORMAT at offset 0", no_index),
        ("no-entry", "there is a first name", "E001_UNKNOWN_FORMAT at offset 0", tar(&[])),
        ("entry-too-long", "lengths have limits", "E004_LIMIT_EXCEEDED at offset 0", long),
    ]
    .map(|(name, why, code, bytes)| vector("container", name, why, code, bytes))
    .into()
}
