//! Runs `spec/vectors/lowering`: each accept file fixes a listing, each reject file a refusal.

use std::path::{Path, PathBuf};

use kapsule_lower::{Options, Origin, lower};
use kapsule_meter::Imports;
use toml::Table;

fn files(kind: &str) -> Vec<PathBuf> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/lowering").join(kind);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn load(path: &Path) -> (Table, Vec<u8>, Options) {
    let vector: Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let wasm = match vector.get("bytes") {
        Some(hex) => hex
            .as_str()
            .unwrap()
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect(),
        None => wat::parse_str(vector["wat"].as_str().unwrap()).unwrap(),
    };
    let abi = vector.get("abi").is_some_and(|abi| abi.as_bool().unwrap());
    let imports = if abi { Imports::Kapsule } else { Imports::Any };
    let pages = vector.get("pages").map_or(16, |pages| pages.as_integer().unwrap());
    let pages = u32::try_from(pages).unwrap();
    (vector, wasm, Options { imports, ..Options::new(pages) })
}

#[test]
fn accepted_modules_have_the_listed_code() {
    let files = files("accept");
    assert!(files.len() >= 10, "found {} accept vectors", files.len());
    for path in files {
        let (vector, wasm, options) = load(&path);
        let lowered = lower(&wasm, &options).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut listing = String::from("\n");
        let listed = |origin| match origin {
            Origin::Function(_) => true,
            Origin::Stub(_) | Origin::Entry => vector.get("stubs").is_some(),
            Origin::Routine => false,
        };
        for piece in lowered.pieces.iter().filter(|piece| listed(piece.origin)) {
            listing += &format!("{:?}\n", piece.origin);
            for pc in piece.start..piece.end {
                listing += &format!("  {pc}: {}\n", lowered.program.at(pc).unwrap());
            }
        }
        let expected = format!("\n{}", vector["listing"].as_str().unwrap());
        assert_eq!(expected, listing, "{}", path.display());
    }
}

#[test]
fn refused_modules_name_the_reason() {
    let (accepted, files) = (files("accept").len(), files("reject"));
    assert!(files.len() >= accepted, "found {} reject vectors", files.len());
    for path in files {
        let (vector, wasm, options) = load(&path);
        let error = lower(&wasm, &options).expect_err(&path.display().to_string());
        let error = format!("{}: {error}", error.code().unwrap());
        let expected = vector["expect"].as_str().unwrap();
        assert!(error.starts_with(expected), "{}: {error}", path.display());
    }
}
