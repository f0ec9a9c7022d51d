//! New crates; `cargo xtask sdk` builds, tests, packs and runs one.

use crate::support::Bench;

#[test]
fn a_new_crate_has_everything_that_it_names() {
    let bench = Bench::new();
    let object = bench.json(&["new", "word-count"]).remove(0);
    let count = object["files"].as_str().unwrap().parse::<usize>().unwrap();
    let mut files = Vec::new();
    let mut directories = vec![bench.path("word-count")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { directories.push(path) } else { files.push(path) }
        }
    }
    assert_eq!(files.len(), count);
    let text = |name: &str| String::from_utf8(bench.read(&format!("word-count/{name}"))).unwrap();
    assert!(text("Cargo.toml").contains("name = \"word-count\""));
    assert!(text("kapsule.toml").contains("entry = \"word_count.wasm#run\""));
    for file in files.iter().filter(|path| path.extension().is_some_and(|e| e == "rs")) {
        let text = std::fs::read_to_string(file).unwrap();
        for name in text.lines().filter_map(|line| {
            line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';')
        }) {
            let root = file.file_name().is_some_and(|name| name == "lib.rs");
            let below = if root { file.with_file_name("") } else { file.with_extension("") };
            let module = below.join(format!("{name}.rs"));
            assert!(files.contains(&module), "{} is absent", module.display());
        }
    }
    // The manifest is one that packs.
    bench.manifest("hello", crate::support::HELLO, "");
    bench.ok(&["pack", "word-count/kapsule.toml", "--payload", "hello.wasm"]);
}

#[test]
fn what_is_there_is_not_touched() {
    let bench = Bench::new();
    bench.write("greeter", "mine");
    bench.fails(&["new", "greeter"], 2, "USAGE", "it is already there");
    assert_eq!(bench.read("greeter"), b"mine");
    for name in ["../up", "Upper", "core", ""] {
        assert_eq!(bench.run(&["new", name]).code, 2, "{name:?}");
    }
    let left = std::fs::read_dir(bench.path("")).unwrap().count();
    assert_eq!(left, 1, "a refused call leaves nothing");
}

#[test]
fn a_build_says_what_is_missing() {
    let bench = Bench::new();
    bench.fails(&["build"], 2, "USAGE", "it has no Cargo.toml");
    bench.ok(&["new", "greeter"]);
    std::fs::remove_file(bench.path("greeter/kapsule.toml")).unwrap();
    bench.fails(&["build", "greeter"], 2, "USAGE", "it has no kapsule.toml");
    bench.ok(&["new", "other"]);
    // The compiler is not on the path of a test, unless the system has one of its own.
    std::fs::create_dir(bench.path("bin")).unwrap();
    let call = || {
        let mut command = bench.command(crate::support::KAPSULE);
        command.env("PATH", bench.path("bin")).args(["build", "other"]);
        crate::support::Ended::of(command.output().unwrap())
    };
    let ended = call();
    assert!(ended.stderr.contains("error: cannot run rustc"), "{}", ended.stderr);
    let script = "#!/bin/sh\necho /no/such/directory\n";
    bench.write("bin/rustc", script);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bench.path("bin/rustc"), mode).unwrap();
    let ended = call();
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("lacks the target wasm32v1-none"), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: install it with `rustup target add"), "{}", ended.stderr);
}
