//! Settings: flag, variable, file, default.

use crate::support::{Bench, Ended, KAPSULE};

fn with_variable(bench: &Bench, name: &str, value: &str, args: &[&str]) -> Ended {
    Ended::of(bench.command(KAPSULE).env(name, value).args(args).output().unwrap())
}

/// Returns value and origin of a setting as `kapsule config` tells them.
fn told(ended: &Ended, name: &str) -> (String, String) {
    let object = ended.objects().remove(0);
    let settings = object["settings"].as_array().unwrap();
    let setting = settings.iter().find(|setting| setting["name"] == name).unwrap();
    let text = |field: &str| setting[field].as_str().unwrap_or_default().to_owned();
    (text("value"), text("from"))
}

fn configure(bench: &Bench, text: &str) {
    std::fs::create_dir_all(bench.path("home/config")).unwrap();
    bench.write("home/config/config.toml", text);
}

#[test]
fn flag_beats_variable_beats_file_beats_default() {
    for (name, file, variable, flag) in [
        ("accept", "one.json", "two.json", "three.json"),
        ("color", "never", "always", "auto"),
        ("engine", "jit", "wasmi", "auto"),
        ("jobs", "3", "2", "1"),
        ("passphrase_file", "one", "two", "three"),
        ("require", "proof-only", "audit-ready", "policy-enforced"),
        ("trust", "one.json", "two.json", "three.json"),
    ] {
        let bench = Bench::new();
        let upper = format!("KAPSULE_{}", name.to_uppercase());
        let ended = bench.run(&["config", "--json"]);
        assert_eq!(told(&ended, name), (String::new(), "default".into()));
        configure(&bench, &format!("{name} = \"{file}\"\n"));
        let ended = bench.run(&["config", "--json"]);
        assert_eq!(told(&ended, name), (file.into(), "file".into()));
        let ended = with_variable(&bench, &upper, variable, &["config", "--json"]);
        assert_eq!(told(&ended, name), (variable.into(), "variable".into()));
        let ended = with_variable(&bench, &upper, "", &["config", "--json"]);
        assert_eq!(told(&ended, name), (file.into(), "file".into()), "an empty variable is none");
        let option = format!("--{}", name.replace('_', "-"));
        let args = ["config", "--json", &option, flag];
        let ended = with_variable(&bench, &upper, variable, &args);
        assert_eq!(told(&ended, name), (flag.into(), "flag".into()));
    }
}

#[test]
fn settings_reach_the_commands() {
    let bench = Bench::with_hello();
    let backend = |bench: &Bench| bench.json(&["run", "hello.mod"])[0]["backend"].clone();
    assert_eq!(backend(&bench), "wasmi");
    configure(&bench, "engine = \"jit\"\nrequire = \"policy-enforced\"\n");
    bench.fails(&["run", "hello.mod"], 13, "E213_NOT_LOOKED_AT", "");
    configure(&bench, "engine = \"jit\"\n");
    assert_eq!(backend(&bench), "jit");
    let ended = with_variable(&bench, "KAPSULE_ENGINE", "wasmi", &["run", "hello.mod", "--json"]);
    assert_eq!(ended.objects()[0]["backend"], "wasmi");
    configure(&bench, "trust = \"none.json\"\n");
    bench.fails(&["verify", "hello.mod"], 2, "USAGE", "cannot read trust file none.json");
    configure(&bench, "color = \"always\"\n");
    assert!(bench.ok(&["verify", "hello.mod"]).text().contains("\u{1b}[32mpass"));
}

#[test]
fn a_faulty_file_is_told_with_its_place_and_never_hides_the_help() {
    let bench = Bench::new();
    for (text, expect) in [
        ("speed = 1\n", "line 1: no setting \"speed\""),
        ("engine = \"fast\"\n", "invalid value 'fast' for '--engine <ENGINE>'"),
        ("jobs = 0\n", "1 to 1024 are allowed"),
        ("jobs = [1]\n", "line 1: jobs is neither a text nor a number"),
        ("engine\n", "line 1: "),
    ] {
        configure(&bench, text);
        bench.fails(&["limits"], 2, "USAGE", expect);
        bench.ok(&["run", "--help"]);
    }
    configure(&bench, &" ".repeat(70_000));
    bench.fails(&["limits"], 20, "E004_LIMIT_EXCEEDED", "configuration file exceeds the limit");
}

#[test]
fn config_shows_its_places() {
    let bench = Bench::new();
    let text = bench.ok(&["config"]).text().to_owned();
    assert!(text.contains("home/config/config.toml (absent)"), "{text}");
    assert!(text.contains("home/data/keys"), "{text}");
    let homeless =
        bench.command(KAPSULE).env_remove("KAPSULE_HOME").arg("config").output().unwrap();
    assert!(String::from_utf8(homeless.stdout).unwrap().starts_with("file  none"));
}

#[test]
fn every_command_has_a_manual_page() {
    let bench = Bench::new();
    let page = bench.ok(&["man"]).text().to_owned();
    assert!(page.contains(".TH kapsule 1") && page.contains("kapsule demo"), "{page}");
    std::fs::create_dir(bench.path("man")).unwrap();
    let object = bench.json(&["man", "man"]).remove(0);
    let files: Vec<&str> =
        object["files"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    for (path, _) in crate::reference::helps(&bench, &[]) {
        let name = [&["kapsule".to_owned()], &path[..]].concat().join("-") + ".1";
        assert!(files.contains(&name.as_str()), "{name} is not among {files:?}");
        let page = String::from_utf8(bench.read(&format!("man/{name}"))).unwrap();
        assert!(page.contains(".SH NAME") && page.contains(".SH OPTIONS"), "{name}");
    }
    bench.fails(&["man", "none"], 2, "USAGE", "its directory does not exist");
}
