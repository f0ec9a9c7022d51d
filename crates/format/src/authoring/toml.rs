//! Reads TOML into a tree.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::tree::{Lines, Node, Value, check_depth};
use super::{AuthoringError, Place};

/// Reads one file.
pub(super) fn read(text: &str, whole: Place) -> Result<Node, AuthoringError> {
    let lines = Lines::new(text);
    let document = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| lines.at(span.start));
        let place = Place { line, ..whole.clone() };
        place.ambiguous(one_line(error.message()))
    })?;
    let value = Reader { lines }.table(&whole, document.get_ref(), 1)?;
    Ok(Node { place: whole, value })
}

struct Reader {
    lines: Lines,
}

impl Reader {
    fn table(
        &self,
        place: &Place,
        table: &DeTable<'_>,
        depth: u32,
    ) -> Result<Value, AuthoringError> {
        check_depth(place, depth)?;
        let member = |(key, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
            let name = key.get_ref().to_string();
            let place = place.member(&name, self.lines.at(key.span().start));
            Ok((name, self.node(place, value, depth)?))
        };
        table.iter().map(member).collect::<Result<_, _>>().map(Value::Table)
    }

    fn node(
        &self,
        place: Place,
        value: &Spanned<DeValue<'_>>,
        depth: u32,
    ) -> Result<Node, AuthoringError> {
        let value = match value.get_ref() {
            DeValue::String(string) => Value::text(&place, string.to_string())?,
            DeValue::Integer(number) => {
                let found = u64::from_str_radix(number.as_str(), number.radix()).ok();
                Value::integer(&place, &number.to_string(), found)?
            }
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Float(_) | DeValue::Datetime(_) => {
                return Err(
                    place.ambiguous("floats and dates are not allowed, write text in quotes")
                );
            }
            DeValue::Array(items) => Value::List(self.list(&place, items, depth + 1)?),
            DeValue::Table(members) => self.table(&place, members, depth + 1)?,
        };
        Ok(Node { place, value })
    }

    fn list(
        &self,
        place: &Place,
        items: &[Spanned<DeValue<'_>>],
        depth: u32,
    ) -> Result<Vec<Node>, AuthoringError> {
        check_depth(place, depth)?;
        let read = |(index, item): (usize, &Spanned<DeValue<'_>>)| {
            let place = place.item(index, self.lines.at(item.span().start));
            self.node(place, item, depth)
        };
        items.iter().enumerate().map(read).collect()
    }
}

fn one_line(message: &str) -> String {
    message.lines().next().unwrap_or("not TOML").to_string()
}
