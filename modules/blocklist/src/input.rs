//! The input: the time, the rules, what is judged, and the labels that others gave.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_guest::Error;
use kapsule_guest::minicbor::Decoder;
use kapsule_modules_common::{Name, read};

use crate::label::Label;

/// Code of an input with more items than the limits below.
pub const LIMIT_ERROR: u16 = 16;
/// Code of a pattern that has no known form.
pub const PATTERN_ERROR: u16 = 17;
/// Code of a label value or domain that has no known form.
pub const VALUE_ERROR: u16 = 18;

/// Greatest number of items; chosen so that a run fits 64 MiB, with 740 bytes of text in each.
pub const ITEMS_MAX: usize = 50_000;
/// Greatest number of patterns over all sets, and of phrases; chosen likewise.
pub const PATTERNS_MAX: usize = 4_096;
/// Greatest number of authors, domains, labellers or items in a list; chosen likewise.
pub const LIST_MAX: usize = 100_000;
/// Greatest number of labels; chosen likewise.
pub const LABELS_MAX: usize = 100_000;

/// Greatest length of a label value, in bytes, as the AT Protocol has it.
const VALUE_BYTES_MAX: usize = 128;
/// Greatest length of a domain, in bytes (RFC 1035).
const DOMAIN_BYTES_MAX: usize = 255;
/// Greatest weight of one piece of evidence, in millionths.
const WEIGHT_MAX: u64 = 10_000_000;
/// Greatest integer of KCBOR.
const UINT_MAX: u64 = (1 << 53) - 1;

/// Patterns that speak for one label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set<'a> {
    /// Which label.
    pub label: &'a str,
    /// Most that the patterns together add to its score, in millionths.
    pub cap: u64,
    /// Each pattern with what it adds.
    pub patterns: Vec<(&'a str, u64)>,
}

/// From which scores on a label has consequences; 0 means never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold<'a> {
    /// Which label.
    pub label: &'a str,
    /// Least score of a warning, in millionths.
    pub warn: u64,
    /// Least score that hides, in millionths.
    pub hide: u64,
}

/// What is never judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow<'a> {
    /// Whose items.
    pub authors: Vec<Name<'a>>,
    /// Which items.
    pub items: Vec<Name<'a>>,
    /// Links to which domains, and to what is below them.
    pub domains: Vec<String>,
    /// Which words in a row.
    pub phrases: Vec<&'a str>,
}

/// The rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules<'a> {
    /// Pattern sets.
    pub sets: Vec<Set<'a>>,
    /// Thresholds.
    pub policy: Vec<Threshold<'a>>,
    /// Authors with a label and what it adds.
    pub authors: Vec<(Name<'a>, &'a str, u64)>,
    /// Domains with a label and what it adds; what is below a domain counts as the domain.
    pub domains: Vec<(String, &'a str, u64)>,
    /// Whose labels count, and what each adds.
    pub labellers: Vec<(Name<'a>, u64)>,
    /// What is never judged.
    pub allow: Allow<'a>,
    /// Label of disguised words, and what each adds.
    pub disguise: Option<(&'a str, u64)>,
}

/// What is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Which one.
    pub id: Name<'a>,
    /// Who wrote it.
    pub author: Name<'a>,
    /// Its text.
    pub text: &'a str,
    /// Domains that it links to beside those in the text.
    pub domains: Vec<String>,
}

/// A decoded input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input<'a> {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub now_ms: u64,
    /// The rules.
    pub rules: Rules<'a>,
    /// What is judged.
    pub items: Vec<Item<'a>>,
    /// Labels of others.
    pub labels: Vec<Label<'a>>,
    /// Name under which labels are written; without it there are none.
    pub src: Option<Name<'a>>,
}

impl<'a> Input<'a> {
    /// Decodes an input.
    ///
    /// # Errors
    /// [`Error::INPUT`] for another form, [`LIMIT_ERROR`], [`VALUE_ERROR`]; patterns are read when
    /// they are first used.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut input = Self::default();
        let (mut now_ms, mut rules, mut items) = (None, None, None);
        read::versioned(&mut read::decoder(bytes)?, "input", |key, decoder| {
            match key {
                1 => now_ms = Some(read::uint(decoder, "now_ms", 0..=UINT_MAX)?),
                2 => rules = Some(Rules::decode(decoder)?),
                3 => items = Some(list(decoder, "items", ITEMS_MAX, item)?),
                4 => input.labels = list(decoder, "labels", LABELS_MAX, label)?,
                5 => input.src = Some(Name::decode(decoder, "src")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        input.now_ms = read::required(now_ms, "input", "now_ms")?;
        input.rules = read::required(rules, "input", "rules")?;
        input.items = read::required(items, "input", "items")?;
        Ok(input)
    }
}

impl<'a> Rules<'a> {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, Error> {
        let mut rules = Self::default();
        let mut patterns = 0;
        read::map(decoder, "rules", |key, decoder| {
            match key {
                0 => rules.sets = list(decoder, "sets", LIST_MAX, |d| set(d, &mut patterns))?,
                1 => rules.policy = list(decoder, "policy", LIST_MAX, threshold)?,
                2 => {
                    rules.authors = list(decoder, "authors", LIST_MAX, |decoder| {
                        read::tuple(decoder, "author", 3)?;
                        let name = Name::decode(decoder, "author")?;
                        Ok((name, value(decoder)?, weight(decoder)?))
                    })?;
                }
                3 => {
                    rules.domains = list(decoder, "domains", LIST_MAX, |decoder| {
                        read::tuple(decoder, "domain", 3)?;
                        Ok((domain(decoder)?, value(decoder)?, weight(decoder)?))
                    })?;
                }
                4 => {
                    rules.labellers = list(decoder, "labellers", LIST_MAX, |decoder| {
                        read::tuple(decoder, "labeller", 2)?;
                        Ok((Name::decode(decoder, "labeller")?, weight(decoder)?))
                    })?;
                }
                5 => rules.allow = Allow::decode(decoder)?,
                6 => {
                    read::tuple(decoder, "disguise", 2)?;
                    rules.disguise = Some((value(decoder)?, weight(decoder)?));
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(rules)
    }
}

impl<'a> Allow<'a> {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, Error> {
        let mut allow = Self::default();
        let name = |decoder: &mut Decoder<'a>| Name::decode(decoder, "allowed name");
        read::map(decoder, "allow", |key, decoder| {
            match key {
                0 => allow.authors = list(decoder, "allowed authors", LIST_MAX, name)?,
                1 => allow.items = list(decoder, "allowed items", LIST_MAX, name)?,
                2 => allow.domains = list(decoder, "allowed domains", LIST_MAX, domain)?,
                3 => {
                    let phrase = |decoder: &mut Decoder<'a>| read::text(decoder, "phrase");
                    allow.phrases = list(decoder, "phrases", PATTERNS_MAX, phrase)?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(allow)
    }
}

/// Reads an array of at most `most` items.
fn list<'a, T>(
    decoder: &mut Decoder<'a>,
    what: &str,
    most: usize,
    mut read_one: impl FnMut(&mut Decoder<'a>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let count = read::array(decoder, what)?;
    check_count(count, what, most)?;
    (0..count).map(|_| read_one(decoder)).collect()
}

fn check_count(count: u64, what: &str, most: usize) -> Result<(), Error> {
    if count > most as u64 {
        return Err(Error::new(LIMIT_ERROR, format!("{count} {what} exceed the limit of {most}")));
    }
    Ok(())
}

/// Reads a set and adds the number of its patterns to `patterns`.
fn set<'a>(decoder: &mut Decoder<'a>, patterns: &mut u64) -> Result<Set<'a>, Error> {
    read::tuple(decoder, "set", 3)?;
    let (label, cap) = (value(decoder)?, read::uint(decoder, "cap", 1..=UINT_MAX)?);
    let pattern = |decoder: &mut Decoder<'a>| {
        *patterns += 1;
        check_count(*patterns, "patterns", PATTERNS_MAX)?;
        read::tuple(decoder, "pattern", 2)?;
        Ok((read::text(decoder, "pattern")?, weight(decoder)?))
    };
    Ok(Set { label, cap, patterns: list(decoder, "patterns", PATTERNS_MAX, pattern)? })
}

fn threshold<'a>(decoder: &mut Decoder<'a>) -> Result<Threshold<'a>, Error> {
    read::tuple(decoder, "threshold", 3)?;
    Ok(Threshold {
        label: value(decoder)?,
        warn: read::uint(decoder, "warn", 0..=UINT_MAX)?,
        hide: read::uint(decoder, "hide", 0..=UINT_MAX)?,
    })
}

fn item<'a>(decoder: &mut Decoder<'a>) -> Result<Item<'a>, Error> {
    read::tuple(decoder, "item", 4)?;
    Ok(Item {
        id: Name::decode(decoder, "id")?,
        author: Name::decode(decoder, "author")?,
        text: read::text(decoder, "text")?,
        domains: list(decoder, "domains of an item", LIST_MAX, domain)?,
    })
}

/// Reads a label in the form in which labels are written.
fn label<'a>(decoder: &mut Decoder<'a>) -> Result<Label<'a>, Error> {
    let (mut src, mut uri, mut val, mut cts_ms) = (None, None, None, None);
    let (mut neg, mut exp_ms) = (false, None);
    read::versioned(decoder, "label", |key, decoder| {
        match key {
            1 => src = Some(Name::decode(decoder, "src")?),
            2 => uri = Some(Name::decode(decoder, "uri")?),
            3 => val = Some(value(decoder)?),
            4 => neg = read::boolean(decoder, "neg")?,
            5 => cts_ms = Some(read::uint(decoder, "cts", 0..=UINT_MAX)?),
            6 => exp_ms = Some(read::uint(decoder, "exp", 0..=UINT_MAX)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Label {
        src: read::required(src, "label", "src")?,
        uri: read::required(uri, "label", "uri")?,
        val: read::required(val, "label", "val")?,
        neg,
        cts_ms: read::required(cts_ms, "label", "cts")?,
        exp_ms,
    })
}

/// Reads the value of a label: lower-case letters and hyphens, after at most one `!`.
fn value<'a>(decoder: &mut Decoder<'a>) -> Result<&'a str, Error> {
    let start = decoder.position();
    let text = read::text(decoder, "label value")?;
    let name = text.strip_prefix('!').unwrap_or(text);
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if text.len() > VALUE_BYTES_MAX || !name.split('-').all(is_part) {
        let text = format!("label value at byte {start} is not like `spam` or `!hide`");
        return Err(Error::new(VALUE_ERROR, text));
    }
    Ok(text)
}

/// Reads a domain in lower case.
fn domain(decoder: &mut Decoder<'_>) -> Result<String, Error> {
    let start = decoder.position();
    let text = read::text(decoder, "domain")?;
    let is_label = |label: &str| {
        let of_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(of_host)
    };
    if text.len() > DOMAIN_BYTES_MAX || !text.split('.').all(is_label) {
        let text = format!("domain at byte {start} is not like `bad.example`");
        return Err(Error::new(VALUE_ERROR, text));
    }
    Ok(text.into())
}

fn weight(decoder: &mut Decoder<'_>) -> Result<u64, Error> {
    read::uint(decoder, "weight", 0..=WEIGHT_MAX)
}
