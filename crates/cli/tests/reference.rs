//! The whole reference: every help text, as one snapshot.

use crate::support::Bench;

/// Returns the help of a command and of everything below it.
pub(crate) fn helps(bench: &Bench, path: &[String]) -> Vec<(Vec<String>, String)> {
    let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
    args.push("--help");
    let help = bench.ok(&args).text().to_owned();
    let mut all = vec![(path.to_vec(), help.clone())];
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    for line in commands.take_while(|line| !line.is_empty()) {
        // A line that goes on with the description is indented further.
        let name = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '));
        let name = name.and_then(|rest| rest.split(' ').next()).filter(|name| *name != "help");
        if let Some(name) = name {
            all.extend(helps(bench, &[path, &[name.to_owned()]].concat()));
        }
    }
    all
}

#[test]
fn the_reference_is_as_committed() {
    let bench = Bench::new();
    let mut text = String::new();
    for (path, help) in helps(&bench, &[]) {
        let line = |line: &str| format!("{}\n", line.trim_end());
        let help: String = help.lines().map(line).collect();
        text.push_str(&format!("# kapsule {}\n{help}\n", path.join(" ")));
    }
    insta::assert_snapshot!("reference", text);
}

#[test]
fn every_command_has_examples_and_completions_know_it() {
    let bench = Bench::new();
    let script = bench.ok(&["completions", "bash"]).text().to_owned();
    for (path, help) in helps(&bench, &[]) {
        let group = help.contains("\nCommands:\n") && !path.is_empty();
        assert_eq!(help.contains("\nExamples:\n"), !group, "{path:?}");
        assert!(path.iter().all(|word| script.contains(word.as_str())), "{path:?}");
    }
    let object = &bench.json(&["completions", "fish"])[0];
    assert!(object["script"].as_str().unwrap().contains("complete -c kapsule"));
    assert_eq!(bench.run(&["completions", "cobol"]).code, 2);
}
