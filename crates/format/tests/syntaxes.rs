//! Equal facts in TOML, YAML and JSON give equal canonical bytes, for every authoring key.

use std::collections::BTreeMap;

use kapsule_format::authoring::{AuthoringError, Draft, Inputs, Syntax, Text};
use proptest::prelude::*;
use proptest::sample::Index;

const PAYLOAD: &[u8] = b"\0asm\x01\0\0\0";

/// A value as a test writes it, before a syntax is chosen.
#[derive(Clone, Debug)]
enum Value {
    Text(&'static str),
    Integer(u64),
    Bool(bool),
    List(&'static [&'static str]),
    Table(BTreeMap<&'static str, Self>),
}

use Value::{Bool, Integer, List};

/// Every authoring key with values that cover its units and forms.
fn rows() -> Vec<(&'static str, Vec<Value>)> {
    let texts = |texts: &[&'static str]| texts.iter().copied().map(Value::Text).collect();
    let sizes = || {
        let units = ["0", "7B", "9kB", "9KB", "3MB", "8KiB", "2MiB", "65536"];
        [Integer(4096)].into_iter().chain(units.map(Value::Text)).collect::<Vec<_>>()
    };
    let flags = || [Bool(true), Bool(false)].to_vec();
    let shares = |name: &'static str, share: Value| Value::Table([(name, share)].into());
    let paths = || [List(&["/usr/share/", "/etc/a"]), List(&[])].to_vec();
    let words =
        ["true", "null", "~", "no", "1", "-1", "0x10", "1.10", "a: b", "# a", "'", "\"", "\\"];
    [
        ("author", texts(&words)),
        (
            "author",
            texts(&[" a ", "- a", "[a", "{a", "a, b", "a\u{f8}", "@", "`", "!a", "&a", "*a"]),
        ),
        ("build_commit", texts(&["0123456", "1234567", "a94c3f2"])),
        (
            "description",
            texts(&["", "two\nlines", "a\tb", "100%", "%a", "\u{1d11e}", "a #b", "<<"]),
        ),
        ("license", texts(&["MIT OR Apache-2.0", "2.0"])),
        ("name", texts(&["hello", "null", "true"])),
        ("version", texts(&["0.1.0", "1.2.3-rc.1+7"])),
        ("entries", [List(&["b", "a"]), List(&["true"])].to_vec()),
        ("exec.binary", texts(&["./bin/main"])),
        ("exec.entries", [List(&["a"])].to_vec()),
        ("exec.hash", texts(&["sha256:..."])),
        ("exec.profile", texts(&["integer-1", "float-1"])),
        ("exec.proof_schema", texts(&["./proofs/circuit.zkp"])),
        ("exec.proof_type", texts(&["none", "groth16", "stark"])),
        ("proof_type", texts(&["plonk", "risc0", "sp1", "openvm"])),
        ("resources.cpu", texts(&["500m", "2", "0.5", "0.125"])),
        ("resources.mem", sizes()),
        ("resources.memory", sizes()),
        ("resources.net", texts(&["none"])),
        ("fees.base", texts(&["0.0001 NONOS", "1.50 NONOS", "0 NONOS"])),
        ("fees.bounty", texts(&["2 NONOS"])),
        ("fees.execution", texts(&["3 NONOS"])),
        (
            "fees.royalties",
            [shares("eip155:1:0x0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a", Integer(7))].to_vec(),
        ),
        ("fees.share_seeders", flags()),
        ("fees.share_verifiers", flags()),
        (
            "fees.splits",
            [Integer(1_000_000), Value::Text("100%")]
                .map(|share| shares("developer", share))
                .to_vec(),
        ),
        ("limits.cpu", texts(&["500ms", "2s", "1min"])),
        ("limits.fuel", [Integer(0), Integer(12)].to_vec()),
        ("limits.calls", [Integer(7)].to_vec()),
        ("limits.log", sizes()),
        ("limits.memory", texts(&["64MiB", "32MB"])),
        ("limits.output", texts(&["1GB", "1GiB"])),
        ("limits.storage", sizes()),
        ("hostcalls", [List(&["now"])].to_vec()),
        ("grants", [List(&["time", "random"])].to_vec()),
        ("kinds", [List(&["post", "null"])].to_vec()),
        ("network.allow_mesh", flags()),
        ("network.allow_clearnet", flags()),
        ("filesystem.read_only", paths()),
        ("filesystem.write_allowed", [List(&["/tmp/"])].to_vec()),
    ]
    .into()
}

/// Sets `value` at a path, unless the path runs through a value that is there.
fn put(table: &mut BTreeMap<&'static str, Value>, path: &'static str, value: Value) {
    let Some((first, rest)) = path.split_once('.') else {
        table.entry(path).or_insert(value);
        return;
    };
    if let Value::Table(inner) = table.entry(first).or_insert(Value::Table(BTreeMap::new())) {
        put(inner, rest, value);
    }
}

/// A manifest with the required keys and these in addition.
fn manifest(chosen: &[(&'static str, Value)]) -> Value {
    let mut table = BTreeMap::new();
    for (path, value) in chosen {
        put(&mut table, path, value.clone());
    }
    let required =
        [("name", "hello"), ("version", "0.1.0"), ("author", "Ada"), ("fees.base", "1 NONOS")];
    for (path, text) in required {
        put(&mut table, path, Value::Text(text));
    }
    put(&mut table, "exec.binary", Value::Text("hello.wasm"));
    Value::Table(table)
}

/// Prints JSON.
fn json(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Integer(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(members) => {
            let member =
                |(name, value): (&&str, &Value)| format!("{}:\n{}", quoted(name), json(value));
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{{ {} }}", members.join(" ,"))
        }
    }
}

/// Escapes as JSON, TOML and double-quoted YAML alike do.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('\n', "\\n").replace('\t', "\\t"))
}

/// Prints TOML with a header for each table and inline tables below.
fn toml(value: &Value) -> String {
    let Value::Table(members) = value else { unreachable!("a manifest is a table") };
    let line = |name: &str, value: &Value| format!("{} = {}\n", quoted(name), toml_value(value));
    let (mut plain, mut tables) = (String::new(), String::new());
    for (name, member) in members {
        match member {
            Value::Table(inner) => {
                let lines: String = inner.iter().map(|(name, value)| line(name, value)).collect();
                tables += &format!("[{name}]\n{lines}");
            }
            _ => plain += &line(name, member),
        }
    }
    plain + &tables
}

fn toml_value(value: &Value) -> String {
    match value {
        Value::Table(members) => {
            let member =
                |(name, value): (&&str, &Value)| format!("{} = {}", quoted(name), json(value));
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{{ {} }}", members.join(", "))
        }
        other => json(other),
    }
}

/// Prints block YAML with plain scalars wherever a plain scalar says the same.
fn yaml(value: &Value, indent: usize) -> String {
    let Value::Table(members) = value else { unreachable!("a manifest is a table") };
    let pad = " ".repeat(indent);
    let member = |(name, value): (&&str, &Value)| match value {
        Value::Table(_) => format!("{pad}{}:\n{}", quoted(name), yaml(value, indent + 2)),
        Value::List(items) if !items.is_empty() => {
            let items = items.iter().map(|item| format!("{pad}- {}\n", yaml_text(item)));
            format!("{pad}{name}:\n{}", items.collect::<String>())
        }
        Value::Text(text) => format!("{pad}{name}: {}\n", yaml_text(text)),
        other => format!("{pad}{name}: {} # as in JSON\n", json(other)),
    };
    members.iter().map(member).collect()
}

fn yaml_text(text: &str) -> String {
    let word = |text: &str| ["true", "false", "null"].contains(&text);
    let starts = text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '.');
    let simple = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" .-/%".contains(&byte));
    let integer = text.parse::<u64>().is_ok();
    match starts && simple && !integer && !word(text) && !text.ends_with(' ') {
        true => text.to_owned(),
        false if text.contains(['\n', '\t']) => quoted(text),
        false => format!("'{}'", text.replace('\'', "''")),
    }
}

/// Packs a manifest file; the canonical bytes, or the code and key of the refusal.
fn pack(syntax: Syntax, text: &str) -> Result<(Vec<u8>, Vec<u8>), (u16, String)> {
    let refused = |error: AuthoringError| (error.code.number(), error.key);
    let draft = Draft::read(Text { syntax, text }, None).map_err(refused)?;
    let schema = draft.proof_schema().map(|_| &b"schema"[..]);
    let inputs = Inputs { payload: PAYLOAD, proof_schema: schema, ..Inputs::default() };
    let (manifest, policy) = draft.finish(&inputs).map_err(refused)?;
    Ok((manifest.encode(), policy.encode()))
}

/// Packs the facts in all three syntaxes and expects one result.
fn check(facts: &[(&'static str, Value)]) -> Result<(Vec<u8>, Vec<u8>), (u16, String)> {
    let value = manifest(facts);
    let texts = [
        (Syntax::Toml, toml(&value)),
        (Syntax::Yaml, yaml(&value, 0)),
        (Syntax::Json, json(&value)),
    ];
    let [one, two, three] = texts.each_ref().map(|(syntax, text)| pack(*syntax, text));
    assert!(one == two && two == three, "{one:?}\n{two:?}\n{three:?}\n{texts:#?}");
    one
}

#[test]
fn every_key_and_unit_reads_the_same_in_every_syntax() {
    for (key, values) in rows() {
        for value in values {
            let facts = [(key, value)];
            let packed = check(&facts);
            assert!(packed.is_ok(), "{facts:?}: {packed:?}");
        }
    }
}

proptest! {
    #[test]
    fn sets_of_keys_read_the_same_in_every_syntax(
        picks in proptest::collection::vec((any::<Index>(), any::<Index>()), 1..12),
    ) {
        let rows = rows();
        let chosen = picks.iter().map(|(row, value)| {
            let (key, values) = row.get(&rows);
            (*key, value.get(values).clone())
        });
        // Some sets contradict themselves; then every syntax says so of the same key.
        let _ = check(&chosen.collect::<Vec<_>>());
    }

    #[test]
    fn arbitrary_text_never_panics(
        text in "[\\[\\]{}:,#&*!|>'\"%@`~?<\\- \\n\\ta-c0-9.\\\\u\u{e9}\u{85}\u{feff}]{0,120}",
    ) {
        for syntax in [Syntax::Toml, Syntax::Yaml, Syntax::Json] {
            let _ = pack(syntax, &text);
            let _ = pack(syntax, &format!("a: {text}"));
            let _ = pack(syntax, &format!("{{\"name\": \"{text}"));
        }
    }
}
