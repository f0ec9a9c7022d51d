//! Upper-cases its input line by line, counts what it did on stderr, and ends with its own code.
use std::collections::HashMap;
use std::io::{BufRead, Write};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let loud = args.iter().any(|arg| arg == "--loud") || std::env::var("LOUD").is_ok();
    let mut words: HashMap<String, u32> = HashMap::new();
    let stdout = std::io::stdout();
    let mut out = stdout.lock();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("the input is text");
        for word in line.split_whitespace() {
            *words.entry(word.to_owned()).or_default() += 1;
        }
        writeln!(out, "{}", if loud { line.to_uppercase() } else { line }).expect("stdout");
    }
    let mut words: Vec<_> = words.into_iter().collect();
    words.sort();
    for (word, count) in &words {
        writeln!(out, "{word} {count}").expect("stdout");
    }
    out.flush().expect("stdout");
    eprintln!("{} distinct words", words.len());
    if words.is_empty() {
        std::process::exit(3);
    }
}
