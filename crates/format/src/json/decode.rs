//! Reader that accepts the one byte form and nothing else.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::encode::{encode, short_escape};
use super::{UINT_MAX, Value, is_member_name};
use crate::DecodeError;
use crate::limits;

/// Decodes one RJSON value that fills `bytes`.
///
/// Takes time and memory linear in the length of `bytes`, which the caller has limited.
///
/// # Errors
/// E007 for every departure from the form, also an early end; E004 for text over 65,536 bytes.
pub fn decode(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader { bytes, position: 0 };
    let value = reader.value(1)?;
    if guard!("format.json.trailing", reader.position != bytes.len()) {
        return Err(reader.refuse("found bytes after the value, allowed the end"));
    }
    // An internal assertion: the reader leaves it nothing to find.
    if encode(&value) != bytes {
        return Err(DecodeError::new(ErrorCode::NotBijective, "value encodes to other bytes"));
    }
    Ok(value)
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let matches = self.peek() == Some(byte);
        if matches {
            self.position += 1;
        }
        matches
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), DecodeError> {
        if self.eat(byte) { Ok(()) } else { Err(self.refuse(what)) }
    }

    /// Builds E007 at the current position.
    fn refuse(&self, detail: &str) -> DecodeError {
        self.refuse_at(self.position, detail)
    }

    fn refuse_at(&self, position: usize, detail: &str) -> DecodeError {
        let detail = match self.bytes.get(position) {
            None => format!("{detail}; the input ends here"),
            Some(_) => detail.into(),
        };
        DecodeError::at(ErrorCode::JsonNotCanonical, position, detail)
    }

    /// Reads a value; `depth` counts the arrays and objects open inside, if it is one of them.
    fn value(&mut self, depth: u32) -> Result<Value, DecodeError> {
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.text().map(Value::Text),
            Some(b'0'..=b'9') => self.uint().map(Value::Uint),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            _ => Err(self.refuse("allowed an object, array, text, boolean or integer from 0")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, DecodeError> {
        if !self.bytes[self.position..].starts_with(word.as_bytes()) {
            return Err(self.refuse("allowed the words true and false"));
        }
        self.position += word.len();
        Ok(value)
    }

    fn open(&mut self, depth: u32) -> Result<(), DecodeError> {
        if guard!("format.json.depth", depth > limits::DEPTH_MAX) {
            return Err(self.refuse("depth is above 16"));
        }
        self.position += 1;
        Ok(())
    }

    fn object(&mut self, depth: u32) -> Result<Value, DecodeError> {
        self.open(depth)?;
        let mut members = BTreeMap::new();
        if self.eat(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            let start = self.position;
            let name = self.text()?;
            if guard!("format.json.member_name", !is_member_name(&name)) {
                let detail = "member name is outside [A-Za-z_][A-Za-z0-9_]{0,63}";
                return Err(self.refuse_at(start, detail));
            }
            let last = members.last_key_value().map(|(last, _)| last);
            if guard!("format.json.member_order", last.is_some_and(|last| *last >= name)) {
                let detail = "member name is repeated or out of order, allowed ascending names";
                return Err(self.refuse_at(start, detail));
            }
            self.expect(b':', "allowed a colon")?;
            let member = self.value(depth + 1)?;
            members.insert(name, member);
            if self.eat(b'}') {
                return Ok(Value::Object(members));
            }
            self.expect(b',', "allowed a comma or a closing brace")?;
        }
    }

    fn array(&mut self, depth: u32) -> Result<Value, DecodeError> {
        self.open(depth)?;
        let mut elements = Vec::new();
        if self.eat(b']') {
            return Ok(Value::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            if self.eat(b']') {
                return Ok(Value::Array(elements));
            }
            self.expect(b',', "allowed a comma or a closing bracket")?;
        }
    }

    fn uint(&mut self) -> Result<u64, DecodeError> {
        let start = self.position;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.position += 1;
        }
        let digits = &self.bytes[start..self.position];
        if guard!("format.json.leading_zero", digits.len() > 1 && digits[0] == b'0') {
            return Err(self.refuse_at(start, "integer starts with a needless zero"));
        }
        if matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return Err(self.refuse("found a fraction or exponent, allowed integers"));
        }
        let number = digits.iter().try_fold(0_u64, |number, digit| {
            number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        });
        let number = number.unwrap_or(u64::MAX);
        if guard!("format.json.uint_max", number > UINT_MAX) {
            return Err(self.refuse_at(start, "integer is above 2^53-1"));
        }
        Ok(number)
    }

    fn text(&mut self) -> Result<String, DecodeError> {
        let start = self.position;
        self.expect(b'"', "allowed a text in double quotes")?;
        let mut text = String::new();
        loop {
            let run = self.run()?;
            let length = text.len().saturating_add(run.len());
            if guard!("format.json.text_bytes", length > limits::TEXT_BYTES_MAX) {
                let detail = format!("text exceeds the limit of {} bytes", limits::TEXT_BYTES_MAX);
                return Err(DecodeError::at(ErrorCode::LimitExceeded, start, detail));
            }
            text.push_str(run);
            self.position += run.len();
            if self.eat(b'"') {
                return Ok(text);
            }
            text.push(self.escape()?);
        }
    }

    /// Returns the characters up to the next quote or backslash, without moving.
    fn run(&self) -> Result<&str, DecodeError> {
        let rest = &self.bytes[self.position..];
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
        let Some(length) = length else {
            return Err(self.refuse_at(self.bytes.len(), "text is not closed"));
        };
        let run = core::str::from_utf8(&rest[..length]).map_err(|error| {
            self.refuse_at(self.position + error.valid_up_to(), "text is not UTF-8")
        })?;
        if rest[length] < 0x20 {
            return Err(self.refuse_at(self.position + length, "control character in text"));
        }
        Ok(run)
    }

    fn escape(&mut self) -> Result<char, DecodeError> {
        let start = self.position;
        let refused = |reader: &Self| {
            let detail = "escape is not complete, not needed, not the shortest one, or of U+0000";
            reader.refuse_at(start, detail)
        };
        let rest = &self.bytes[start..];
        let (control, length) = match rest {
            [_, letter @ (b'"' | b'\\'), ..] => (*letter, 2),
            [_, b'u', b'0', b'0', high @ b'0'..=b'1', low, ..] => {
                let low = match low {
                    b'0'..=b'9' => low - b'0',
                    b'a'..=b'f' => low - b'a' + 10,
                    _ => return Err(refused(self)),
                };
                let control = (high - b'0') * 16 + low;
                let needless = control == 0 || short_escape(control).is_some();
                if guard!("format.json.escape", needless) {
                    return Err(refused(self));
                }
                (control, 6)
            }
            [_, letter, ..] => {
                let control = (1..0x20).find(|byte| short_escape(*byte) == Some(*letter));
                (control.ok_or_else(|| refused(self))?, 2)
            }
            _ => return Err(refused(self)),
        };
        self.position += length;
        Ok(char::from(control))
    }
}
