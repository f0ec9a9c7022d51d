//! The feed as people see it: the command over a store whose posts it opens and ranks.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kapsule_store::Store;

use super::capsules::Posts;
use super::{Anything, BATCH, FEED, SHOWN, accept, opening, secret, shortest};
use crate::timing::readable;

/// Root of the repository, where the standard module is.
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Times `kapsule feed` of [`FEED`] posts in new processes: the first, which opens and ranks, and
/// the next ones, which show what was kept.
pub(super) fn measure(command: &Path) -> Result<Vec<String>, Anything> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("home/data");
    let mut posts = Posts::new()?;
    let mut store = Store::open(&data, opening()?)?;
    let mut made = 0;
    while made < FEED {
        let count = BATCH.min(usize::try_from(FEED - made)?);
        accept(&mut store, &posts.take(count)?)?;
        made += count as u64;
    }
    drop(store);
    secret(&folder.path().join("key"), posts.identity())?;
    let kapsule = |arguments: &[&str]| run(command, folder.path(), arguments);
    let manifest = format!("{REPOSITORY}/examples/packages/rank.toml");
    let payload = format!("{REPOSITORY}/modules/artifacts/rank.wasm");
    kapsule(&["pack", &manifest, "--payload", &payload])?;
    kapsule(&["dispatch", "set", "post", "rank.mod"])?;
    let limit = SHOWN.to_string();
    let see = |cached: bool| -> Result<Duration, Anything> {
        let start = Instant::now();
        let shown = kapsule(&["feed", "--limit", &limit, "--json", "--identity", "key"])?;
        let time = start.elapsed();
        let rows = shown.matches("kapsule/feed-row/1").count() as u64;
        let told = shown.contains(&format!("\"cached\":{cached}"));
        match rows == SHOWN && told {
            true => Ok(time),
            false => Err(format!("kapsule feed: {rows} rows, {shown}").into()),
        }
    };
    let first = see(false)?;
    let kept = shortest(9, || see(true).map(drop))?;
    Ok(vec![
        format!("`kapsule feed` of {FEED} posts, opened and ranked: {}", readable(first)),
        format!("the same again, from what was kept, a new process: {}", readable(kept)),
    ])
}

/// Runs the command in the folder and returns what it prints.
fn run(command: &Path, folder: &Path, arguments: &[&str]) -> Result<String, Anything> {
    let output = Command::new(command)
        .args(arguments)
        .current_dir(folder)
        .env("KAPSULE_HOME", folder.join("home"))
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("kapsule {}: {errors}", arguments.join(" ")).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
