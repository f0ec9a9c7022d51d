//! Reads JSON (RFC 8259) into a tree.
//!
//! White space, member order and escapes are free here, unlike in the canonical form.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::guard;

use super::tree::{Lines, Names, Node, Value, check_depth};
use super::{AuthoringError, Place, unit};

/// Reads one file.
pub(super) fn read(text: &str, whole: Place) -> Result<Node, AuthoringError> {
    let mut reader = Reader { text, lines: Lines::new(text), position: 0, whole };
    let root = reader.node(reader.whole.clone(), 1)?;
    reader.space();
    if guard!("format.authoring.json_trailing", reader.position != text.len()) {
        return Err(reader.refuse("found text after the value, allowed the end"));
    }
    Ok(root)
}

struct Reader<'a> {
    text: &'a str,
    lines: Lines,
    /// Byte offset, always at the start of a character.
    position: usize,
    whole: Place,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn line(&self) -> u32 {
        self.lines.at(self.position)
    }

    fn refuse(&self, detail: &str) -> AuthoringError {
        let end = if self.rest().is_empty() { "; the file ends here" } else { "" };
        self.whole.on(self.line()).ambiguous(format!("not JSON: {detail}{end}"))
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    /// Takes a character and the white space before it.
    fn eat(&mut self, wanted: char) -> bool {
        self.space();
        let found = self.rest().starts_with(wanted);
        if found {
            self.position += wanted.len_utf8();
        }
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), AuthoringError> {
        if self.eat(wanted) { Ok(()) } else { Err(self.refuse(&format!("allowed {wanted:?}"))) }
    }

    fn node(&mut self, place: Place, depth: u32) -> Result<Node, AuthoringError> {
        self.space();
        let value = match self.rest().as_bytes().first() {
            Some(b'{') => self.table(&place, depth)?,
            Some(b'[') => self.list(&place, depth)?,
            Some(b'"') => Value::text(&place, self.string()?)?,
            Some(b'-' | b'0'..=b'9') => self.number(&place)?,
            _ => self.word(&place)?,
        };
        Ok(Node { place, value })
    }

    fn word(&mut self, place: &Place) -> Result<Value, AuthoringError> {
        let length = self.rest().bytes().take_while(u8::is_ascii_alphabetic).count();
        let value = match &self.rest()[..length] {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => return Err(place.ambiguous("nulls are not allowed, leave the key out")),
            _ => return Err(self.refuse("allowed an object, array, string, number or boolean")),
        };
        self.position += length;
        Ok(value)
    }

    fn table(&mut self, place: &Place, depth: u32) -> Result<Value, AuthoringError> {
        check_depth(place, depth)?;
        self.expect('{')?;
        let (mut members, mut names) = (Vec::new(), Names::default());
        if self.eat('}') {
            return Ok(Value::Table(members));
        }
        loop {
            self.space();
            let line = self.line();
            let name = self.string()?;
            let place = place.member(&name, line);
            names.add(&name, &place)?;
            self.expect(':')?;
            members.push((name, self.node(place, depth + 1)?));
            if self.eat('}') {
                return Ok(Value::Table(members));
            }
            self.expect(',')?;
        }
    }

    fn list(&mut self, place: &Place, depth: u32) -> Result<Value, AuthoringError> {
        check_depth(place, depth)?;
        self.expect('[')?;
        let mut items = Vec::new();
        if self.eat(']') {
            return Ok(Value::List(items));
        }
        loop {
            self.space();
            let place = place.item(items.len(), self.line());
            items.push(self.node(place, depth + 1)?);
            if self.eat(']') {
                return Ok(Value::List(items));
            }
            self.expect(',')?;
        }
    }

    fn number(&mut self, place: &Place) -> Result<Value, AuthoringError> {
        let in_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = self.rest().bytes().take_while(in_number).count();
        let shown = &self.rest()[..length];
        let value = match shown {
            _ if unit::is_integer(shown) => Value::integer(place, shown, shown.parse().ok())?,
            _ if shown.strip_prefix('-').is_some_and(unit::is_integer) => {
                Value::integer(place, shown, None)?
            }
            _ if is_fraction(shown) => {
                return Err(place.ambiguous("floats are not allowed, write text in quotes"));
            }
            _ => return Err(self.refuse("malformed number")),
        };
        self.position += length;
        Ok(value)
    }

    fn string(&mut self) -> Result<String, AuthoringError> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find(|c: char| matches!(c, '"' | '\\' | '\0'..='\u{1f}'));
            let plain = plain.unwrap_or(rest.len());
            text.push_str(&rest[..plain]);
            self.position += plain;
            match rest.as_bytes().get(plain) {
                Some(b'"') => {
                    self.position += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.refuse("control character in a string")),
                None => return Err(self.refuse("string is not closed")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, AuthoringError> {
        let letter = self.rest().as_bytes().get(1).copied();
        let short = match letter {
            Some(letter @ (b'"' | b'\\' | b'/')) => Some(char::from(letter)),
            Some(b'b') => Some('\u{8}'),
            Some(b'f') => Some('\u{c}'),
            Some(b'n') => Some('\n'),
            Some(b'r') => Some('\r'),
            Some(b't') => Some('\t'),
            _ => None,
        };
        if let Some(short) = short {
            self.position += 2;
            return Ok(short);
        }
        let unit = self.unicode_escape().ok_or_else(|| self.refuse("unknown escape"))?;
        // A character above U+FFFF is written as two halves.
        let low = if matches!(unit, 0xd800..=0xdbff) { self.unicode_escape() } else { None };
        let code = match low {
            Some(low @ 0xdc00..=0xdfff) => 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00),
            _ => unit,
        };
        char::from_u32(code).ok_or_else(|| self.refuse("half of a surrogate pair"))
    }

    /// Takes `\u` and four hex digits.
    fn unicode_escape(&mut self) -> Option<u32> {
        let digits = self.rest().strip_prefix("\\u")?.get(..4)?;
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let unit = u32::from_str_radix(digits, 16).ok().filter(|_| hex)?;
        self.position += 6;
        Some(unit)
    }
}

/// Tells whether a text is a JSON number with a fraction or an exponent.
fn is_fraction(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    unit::is_integer(whole) && digits(fraction) && digits(exponent)
}
