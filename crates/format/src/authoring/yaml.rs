//! Reads a small part of YAML into a tree.
//!
//! Left out is what lets one text mean two things: anchors, aliases, tags, merge keys, directives,
//! block scalars, nulls, several documents, and every plain scalar rule but two.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::guard;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::tree::{Names, Node, Value, check_depth};
use super::{AuthoringError, Place, unit};

/// Reads one file.
pub(super) fn read(text: &str, whole: Place) -> Result<Node, AuthoringError> {
    let mut reader = Reader { parser: Parser::new_from_str(text), whole };
    reader.next()?; // the start of the stream
    let (event, span) = reader.next()?;
    let Event::DocumentStart(explicit) = event else {
        return Err(reader.whole.ambiguous("the file is empty, which YAML takes for a null"));
    };
    let directive = text.lines().take(line(span) as usize).any(|line| line.starts_with('%'));
    if guard!("format.authoring.yaml_directive", explicit && directive) {
        return Err(reader.whole.on(line(span)).ambiguous("YAML directives are not allowed"));
    }
    let (event, span) = reader.next()?;
    let root = reader.node(reader.whole.clone(), event, span, 1)?;
    reader.next()?; // the end of the document
    let (event, span) = reader.next()?;
    if guard!("format.authoring.yaml_document", event != Event::StreamEnd) {
        return Err(reader
            .whole
            .on(line(span))
            .ambiguous("found a second document, allowed is one"));
    }
    Ok(root)
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    whole: Place,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), AuthoringError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let place = self.whole.on(error.marker().line() as u32);
                Err(place.ambiguous(format!("not YAML: {}", error.info())))
            }
            None => Err(self.whole.ambiguous("the file ends inside a value")),
        }
    }

    fn node(
        &mut self,
        place: Place,
        event: Event<'a>,
        span: Span,
        depth: u32,
    ) -> Result<Node, AuthoringError> {
        check_marks(&place.on(line(span)), &event)?;
        let value = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) => plain(&place, &text)?,
            Event::Scalar(text, style, ..) => {
                check_style(&place, style)?;
                Value::text(&place, text)?
            }
            Event::SequenceStart(..) => self.list(&place, depth)?,
            Event::MappingStart(..) => self.table(&place, depth)?,
            _ => return Err(place.ambiguous("found no value")),
        };
        Ok(Node { place, value })
    }

    fn list(&mut self, place: &Place, depth: u32) -> Result<Value, AuthoringError> {
        check_depth(place, depth)?;
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Value::List(items));
            }
            let place = place.item(items.len(), line(span));
            items.push(self.node(place, event, span, depth + 1)?);
        }
    }

    fn table(&mut self, place: &Place, depth: u32) -> Result<Value, AuthoringError> {
        check_depth(place, depth)?;
        let (mut members, mut names) = (Vec::new(), Names::default());
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Value::Table(members));
            }
            let name = key(&place.on(line(span)), event)?;
            let place = place.member(&name, line(span));
            names.add(&name, &place)?;
            let (event, span) = self.next()?;
            members.push((name, self.node(place, event, span, depth + 1)?));
        }
    }
}

/// Returns the text of a key, whatever value the same scalar would have.
fn key(place: &Place, event: Event<'_>) -> Result<String, AuthoringError> {
    check_marks(place, &event)?;
    let Event::Scalar(text, style, ..) = event else {
        return Err(place.ambiguous("found a list or table as a key, allowed is text"));
    };
    check_style(place, style)?;
    let plain = style == ScalarStyle::Plain;
    if guard!("format.authoring.yaml_merge", plain && text == "<<") {
        return Err(place.ambiguous("merge keys are not allowed"));
    }
    if guard!("format.authoring.yaml_null_key", plain && is_null(&text)) {
        return Err(place.ambiguous("found a null as a key, allowed is text"));
    }
    Ok(text.into_owned())
}

/// Reads an unquoted scalar: `true`, `false`, a decimal integer, or else text.
fn plain(place: &Place, text: &str) -> Result<Value, AuthoringError> {
    if guard!("format.authoring.yaml_null", is_null(text)) {
        return Err(place.ambiguous("nulls are not allowed, leave the key out"));
    }
    match text {
        "true" => Ok(Value::Bool(true)),
        "false" => Ok(Value::Bool(false)),
        _ if unit::is_integer(text) => Value::integer(place, text, text.parse().ok()),
        _ => Value::text(place, text),
    }
}

fn is_null(plain: &str) -> bool {
    matches!(plain, "" | "~" | "null")
}

/// Refuses what refers to another place or changes the meaning of a value.
fn check_marks(place: &Place, event: &Event<'_>) -> Result<(), AuthoringError> {
    let (anchor, tagged) = match event {
        Event::Alias(_) => return Err(place.ambiguous("anchors and aliases are not allowed")),
        Event::Scalar(.., anchor, tag)
        | Event::SequenceStart(anchor, tag)
        | Event::MappingStart(anchor, tag) => (*anchor != 0, tag.is_some()),
        _ => (false, false),
    };
    if guard!("format.authoring.yaml_anchor", anchor) {
        return Err(place.ambiguous("anchors and aliases are not allowed"));
    }
    if guard!("format.authoring.yaml_tag", tagged) {
        return Err(place.ambiguous("tags are not allowed"));
    }
    Ok(())
}

fn check_style(place: &Place, style: ScalarStyle) -> Result<(), AuthoringError> {
    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    if guard!("format.authoring.yaml_block", block) {
        return Err(place.ambiguous("block scalars are not allowed, write text in quotes"));
    }
    Ok(())
}

fn line(span: Span) -> u32 {
    // A file has at most 2^18 bytes.
    span.start.line() as u32
}
