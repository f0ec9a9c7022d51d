//! Compiled code that is kept from run to run: faster, and never different.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::support::{Bench, KAPSULE};

/// Functions enough to keep the JIT at work for a while; the entry calls one of them.
fn module(functions: u32) -> String {
    let mut text = String::from(
        "(module (import \"kapsule_v1\" \"output_write\" (func $out (param i32 i32) (result i32)))
         (memory (export \"memory\") 1)
         (func (export \"kapsule_abi_version\") (result i32) i32.const 1)",
    );
    for index in 0..functions {
        text.push_str(&format!(
            "(func $f{index} (param i32) (result i32) (local i32)
               (loop (local.set 1 (i32.add (local.get 1) (i32.const {index})))
                 (br_if 0 (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))
                   (i32.const 0))))
               (i32.xor (local.get 1) (i32.rotl (local.get 0) (i32.const 3))))"
        ));
    }
    text.push_str(
        "(func (export \"run\") (result i32)
           (i32.store (i32.const 8) (call $f7 (i32.const 100)))
           (drop (call $out (i32.const 8) (i32.const 4))) (i32.const 0)))",
    );
    text
}

fn bench(functions: u32) -> Bench {
    let bench = Bench::new();
    bench.pack("code", &module(functions), "");
    bench
}

fn run(bench: &Bench, engine: &str) -> (String, Vec<u8>) {
    let args = ["run", "code.mod", "--engine", engine, "--transcript", "t"];
    let backend = bench.json(&args).remove(0)["backend"].as_str().unwrap().to_owned();
    (backend, bench.read("t"))
}

fn code(bench: &Bench) -> PathBuf {
    bench.path("home").join("state").join("code")
}

fn entries(bench: &Bench) -> Vec<PathBuf> {
    let files = fs::read_dir(code(bench)).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|end| end == "code")).collect()
}

#[test]
fn kept_code_is_used_at_once_and_changes_nothing() {
    let bench = bench(10);
    let (backend, expected) = run(&bench, "auto");
    assert_eq!((backend.as_str(), entries(&bench).len()), ("wasmi", 0));
    assert_eq!(run(&bench, "jit"), ("jit".into(), expected.clone()));
    let [entry] = entries(&bench).try_into().expect("one entry");
    let kept = fs::read(&entry).unwrap();
    assert_eq!(run(&bench, "auto"), ("jit".into(), expected.clone()), "the entry is found");

    for (what, bytes) in
        [("truncated", &kept[..kept.len() / 2]), ("empty", &[]), ("foreign", &[7; 900][..])]
    {
        fs::write(&entry, bytes).unwrap();
        assert_eq!(run(&bench, "auto"), ("wasmi".into(), expected.clone()), "{what}");
        assert_eq!(run(&bench, "jit"), ("jit".into(), expected.clone()), "{what}");
        assert_ne!(fs::read(&entry).unwrap(), bytes, "the {what} entry is made again");
    }
    // Another key makes every entry a stranger's.
    fs::remove_file(code(&bench).join("key")).unwrap();
    assert_eq!(run(&bench, "auto"), ("wasmi".into(), expected));
}

#[test]
fn a_cache_that_others_can_reach_is_not_used() {
    let bench = bench(10);
    let (_, expected) = run(&bench, "jit");
    let modes = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((modes(code(&bench)), modes(code(&bench).join("key"))), (0o700, 0o600));
    for (path, open, closed) in
        [(code(&bench), 0o755, 0o700), (code(&bench).join("key"), 0o644, 0o600)]
    {
        fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
        assert_eq!(run(&bench, "auto"), ("wasmi".into(), expected.clone()), "{}", path.display());
        fs::set_permissions(&path, fs::Permissions::from_mode(closed)).unwrap();
        assert_eq!(run(&bench, "auto"), ("jit".into(), expected.clone()));
    }
}

#[test]
fn a_process_that_is_killed_while_it_compiles_leaves_nothing_behind() {
    let bench = bench(4_000);
    let mut command = bench.command(KAPSULE);
    let args = ["run", "code.mod", "--engine", "jit", "--output", "never"];
    let mut child = command.args(args).spawn().unwrap();
    // The key is made right before the module is compiled, which takes far longer than this loop.
    while !code(&bench).join("key").exists() {
        assert_eq!(child.try_wait().unwrap(), None, "the run ended before it compiled");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(entries(&bench).is_empty() && !bench.path("never").exists());
    let (backend, expected) = run(&bench, "auto");
    assert_eq!(backend, "wasmi");
    assert_eq!(run(&bench, "jit"), ("jit".into(), expected));
    assert_eq!(entries(&bench).len(), 1);
}
