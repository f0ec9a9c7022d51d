//! The two commands of the README's quickstart block.

use crate::failure::Failure;
use crate::tree::Tree;

/// How the block begins.
const FENCE: &str = "```sh quickstart";

/// The two commands that a newcomer types.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Quickstart {
    /// Shows the project at work.
    pub(crate) demo: String,
    /// Runs every test.
    pub(crate) tests: String,
}

/// Reads the block from `README.md`.
pub(crate) fn quickstart(tree: &Tree) -> Result<Quickstart, Failure> {
    decode(&tree.read("README.md")?).map_err(|detail| Failure::shape("README.md", detail))
}

/// Finds the block in the text of a README.
fn decode(text: &str) -> Result<Quickstart, String> {
    let blocks = text.lines().filter(|line| *line == FENCE).count();
    if blocks != 1 {
        return Err(format!("{blocks} blocks tagged `sh quickstart`, allowed: 1"));
    }
    let block = text.lines().skip_while(|line| *line != FENCE).skip(1);
    let block = block.take_while(|line| !line.starts_with("```")).map(str::trim);
    let commands: Vec<&str> =
        block.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    match commands.as_slice() {
        [demo, tests] => Ok(Quickstart { demo: (*demo).into(), tests: (*tests).into() }),
        commands => {
            Err(format!("the quickstart block has {} commands, allowed: 2", commands.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_commands_are_read_and_comments_left_out() {
        let text = "# K\n```sh quickstart\n# one\ncargo a\n\ncargo b\n```\n```sh\ncargo c\n```\n";
        let expect = Quickstart { demo: "cargo a".into(), tests: "cargo b".into() };
        assert_eq!(decode(text), Ok(expect));
    }

    #[test]
    fn any_other_number_is_refused() {
        let cases = [
            ("", "0 blocks"),
            ("```sh quickstart\na\n```\n", "the quickstart block has 1 commands"),
            ("```sh quickstart\na\nb\nc\n```\n", "the quickstart block has 3 commands"),
            ("```sh quickstart\na\nb\n```\n```sh quickstart\na\nb\n```\n", "2 blocks"),
        ];
        for (text, expect) in cases {
            let error = decode(text).unwrap_err();
            assert!(error.starts_with(expect), "{error}");
        }
    }
}
