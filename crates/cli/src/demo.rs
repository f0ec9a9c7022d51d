//! The whole flow in a throwaway home, through the functions that the verbs call.

mod bundle;
mod capsules;
mod home;
mod receipt;

use std::path::PathBuf;

use kapsule_abi::{ErrorCode, Grant};
use kapsule_engine::{Backend, MemoryHost, ReplayOptions, Run};
use kapsule_format::authoring::{Inputs, Syntax, Text};
use kapsule_format::key::Suite;
use kapsule_format::package::{PackageId, Scope};
use kapsule_format::transcript::Transcript;
use kapsule_format::trust::Role;
use kapsule_format::verify::Level;

pub(crate) use capsules::Typed;
pub(crate) use home::DemoHome;
pub(crate) use receipt::Receipted;

use crate::convert::rows::{self, Rank, RankRow, Trust};
use crate::convert::{Name, hn, otc};
use crate::error::Failure;
use crate::execute::{self, Engine, Ran, Request};
use crate::grants::GrantArgs;
use crate::keystore::{self, KeyStore, StoredIdentity};
use crate::opening::{self, Asked, Files, Opened, TrustArgs};
use crate::packing::Authoring;
use crate::passphrase::PassphraseArgs;
use crate::paths::Home;
use crate::receipts::Moment;
use crate::trustfile::Change;
use crate::ui::Ui;
use crate::{files, interrupt, packing};

/// Who looks at the sample data.
const VIEWER: &str = "ada";

/// A package of the demo, verified.
#[derive(Debug)]
pub(crate) struct Packed {
    /// Name of the package.
    pub(crate) name: String,
    /// Version.
    pub(crate) version: String,
    /// Its id.
    pub(crate) capsule_hash: PackageId,
    /// Bytes of the file.
    pub(crate) bytes: usize,
    /// Level that verification reached.
    pub(crate) level: Level,
}

/// A row of the ranked feed.
#[derive(Debug)]
pub(crate) struct FeedRow {
    /// Post.
    pub(crate) id: Name,
    /// Who wrote it.
    pub(crate) author: Name,
    /// Its title.
    pub(crate) title: String,
    /// Score in millionths.
    pub(crate) score: u64,
    /// Factor for the author in millionths.
    pub(crate) author_ppm: u64,
}

/// The ranked feed, with what the table of posts knows of it.
pub(crate) struct Feed {
    /// Posts that are shown, best first.
    pub(crate) rows: Vec<FeedRow>,
    /// Posts that may be promoted, best first.
    pub(crate) promoted: Vec<Name>,
    /// Posts whose author is blocked, with title.
    pub(crate) hidden: Vec<(Name, String)>,
}

/// Everything that the demo found, for printing.
pub(crate) struct Story {
    /// The packages.
    pub(crate) packages: Vec<Packed>,
    /// The run that policy refused.
    pub(crate) refusal: Failure,
    /// The run of trust, and its output.
    pub(crate) trust: (Ran, Trust),
    /// The run of rank.
    pub(crate) rank: Ran,
    /// The ranked feed.
    pub(crate) feed: Feed,
    /// Engine that replayed the run of trust with the same outcome, fuel, transcript and output.
    pub(crate) replayed_on: Backend,
    /// The receipt of the run of trust.
    pub(crate) receipt: Receipted,
    /// Capsules, the store and a feed over it, command by command.
    pub(crate) capsules: Vec<Typed>,
}

/// Plays the whole story in `home`.
pub(crate) fn play(ui: &Ui, home: &DemoHome) -> Result<Story, Failure> {
    let stage = Stage::set_up(ui, home)?;
    let packages = vec![
        stage.make(&bundle::TRUST, "packing and signing trust")?,
        stage.make(&bundle::RANK, "packing and signing rank")?,
    ];
    let trust_input = otc::convert(bundle::STATEMENTS.as_bytes(), &viewer()?, &[])?;
    ui.say(&format!("converted {} trust statements", trust_input.records));

    let refusal = stage.refused_run(&trust_input.bytes)?;
    let moment = Moment::now(None)?;
    let (trust, transcript) = stage.trust_run(&trust_input.bytes, &moment)?;
    let trust_rows = Trust::decode(&trust.run.output)?;

    let options = hn::Options {
        trust: Some(rows::trust_value(&trust.run.output)?),
        ..hn::Options::default()
    };
    let feed_input = hn::convert(bundle::FEED.as_bytes(), &options)?;
    ui.say(&format!("converted {} posts", feed_input.records));
    let rank = stage.run("rank.mod", &feed_input.bytes, &[], None)?;
    let ranking = Rank::decode(&rank.run.output)?;

    let replayed_on = stage.replay_elsewhere(&trust, &transcript)?;
    let receipt = stage.receipt(&trust, &trust_input.bytes, &moment)?;
    let feed = with_titles(ranking)?;
    let trust = (trust, trust_rows);
    let capsules = stage.capsules()?;
    Ok(Story { packages, refusal, trust, rank, feed, replayed_on, receipt, capsules })
}

fn viewer() -> Result<Name, Failure> {
    VIEWER.parse().map_err(|cause| broken("the viewer has no name").cause(cause as String))
}

/// A fault of the demo itself.
fn broken(message: &str) -> Failure {
    Failure::internal(message, "report this as a bug")
}

fn with_titles(ranking: Rank) -> Result<Feed, Failure> {
    let titles = hn::titles(bundle::FEED.as_bytes())?;
    let find = |id: &Name| titles.get(id).ok_or_else(|| broken("a ranked post is not in the feed"));
    let row = |row: RankRow| {
        let (title, author) = find(&row.id)?.clone();
        let (id, score, author_ppm) = (row.id, row.score, row.author_ppm);
        Ok(FeedRow { id, author, title, score, author_ppm })
    };
    let hidden = |id: Name| {
        let (title, _) = find(&id)?;
        Ok((id, title.clone()))
    };
    Ok(Feed {
        rows: ranking.trending.into_iter().map(row).collect::<Result<_, Failure>>()?,
        promoted: ranking.promoted.into_iter().map(|row| row.id).collect(),
        hidden: ranking.hidden.into_iter().map(hidden).collect::<Result<_, Failure>>()?,
    })
}

/// The throwaway home with its keys and its trust file.
struct Stage<'a> {
    ui: &'a Ui,
    home: &'a DemoHome,
    author: StoredIdentity,
    publisher: StoredIdentity,
    trust: TrustArgs,
}

impl<'a> Stage<'a> {
    /// Creates two keys and a trust file that lists them.
    fn set_up(ui: &'a Ui, home: &'a DemoHome) -> Result<Self, Failure> {
        let progress = ui.begin(&format!("creating keys in {}", home.path().display()));
        let keys = KeyStore::new(&Home::at(home.path()));
        let create = |name: &str| {
            let name = name.parse().map_err(|cause: String| broken("no key name").cause(cause))?;
            let key = keystore::generate(Suite::Ed25519, opening::now_ms())?;
            keys.create(&name, vec![key], None)?;
            keys.load(&name, &PassphraseArgs::default())
        };
        let (author, publisher) = (create("author")?, create("publisher")?);
        let listed = [("author", &author), ("publisher", &publisher)]
            .map(|(name, key)| (name.to_owned(), key.identity.clone()));
        let change = Change {
            listed: listed.into(),
            packages: vec!["*".to_owned()],
            roles: vec![Role::Author, Role::Issuer, Role::Publisher],
            ..Change::default()
        };
        let file = change.first()?.encode();
        let path = home.path().join("trust.json");
        files::write(ui, &path, &file)?;
        progress.end("created the keys `author` and `publisher` and a trust file that lists them");
        let trust = TrustArgs { trust: Some(path), apart: true, ..TrustArgs::default() };
        Ok(Self { ui, home, author, publisher, trust })
    }

    fn path(&self, file: &str) -> PathBuf {
        self.home.path().join(file)
    }

    /// Packs, signs, writes and verifies one package.
    fn make(&self, source: &bundle::Source, what: &str) -> Result<Packed, Failure> {
        let progress = self.ui.begin(what);
        let authoring = Authoring {
            manifest_name: source.manifest_name,
            manifest: Text { syntax: Syntax::Toml, text: source.manifest },
            policy: None,
        };
        let draft = authoring.draft()?;
        let payload = source.payload;
        let author_keys = self.author.identity.keys();
        let inputs = Inputs { payload, author_keys, ..Inputs::default() };
        let mut package = authoring.pack(&draft, &inputs, &[], &[])?;
        packing::sign(&mut package, Scope::Author, &self.author, false)?;
        packing::sign(&mut package, Scope::Publisher, &self.publisher, false)?;
        let bytes = package.encode();
        let file = format!("{}.mod", package.manifest().name);
        files::write(self.ui, &self.path(&file), &bytes)?;
        let (_, opened) = self.open(&file)?;
        progress.end(&format!("{file} is signed and verified, level {}", opened.report.level));
        Ok(Packed {
            name: package.manifest().name.clone(),
            version: package.manifest().version.to_string(),
            capsule_hash: package.capsule_hash(),
            bytes: bytes.len(),
            level: opened.report.level,
        })
    }

    fn open(&self, file: &str) -> Result<(String, Opened), Failure> {
        interrupt::check()?;
        let files = Files::read(&self.path(file))?;
        Ok((files.name(), self.trust.verifier()?.open(&files, Asked::default())?))
    }

    /// Verifies a package and runs it with these grants.
    fn run(
        &self,
        file: &str,
        input: &[u8],
        grants: &[Grant],
        moment: Option<&Moment>,
    ) -> Result<Ran, Failure> {
        let (name, opened) = self.open(file)?;
        let args = GrantArgs { policy: None, grants: grants.to_vec() };
        let effective = args.effective(opened.package.policy())?;
        let loaded = execute::load(&name, &opened.package, &opened.module)?;
        let request = Request {
            states: moment.is_some(),
            entry: None,
            input,
            policy: &effective.policy,
            fuel: None,
            seed: moment.map(|moment| moment.nonce).unwrap_or_default(),
            engine: Engine::Auto,
        };
        let progress = self.ui.begin(&format!("running {file}"));
        let ran = loaded.run(&request, &mut MemoryHost::default())?;
        progress.end(&format!("{file}: {}", crate::commands::run_summary(&ran)));
        match execute::outcome_failure(file, &ran) {
            None => Ok(ran),
            Some(failure) => Err(failure),
        }
    }

    /// Runs trust without the grant that it needs, which has to be refused.
    fn refused_run(&self, input: &[u8]) -> Result<Failure, Failure> {
        let refused = self.run("trust.mod", input, &[], None).err();
        let refusal = refused.ok_or_else(|| broken("a run without its grant was not refused"))?;
        match refusal.kind {
            crate::error::Kind::Code(ErrorCode::ImportRefused) => Ok(refusal),
            _ => Err(refusal),
        }
    }

    /// Runs trust with its grant, and writes and reads back its transcript.
    fn trust_run(&self, input: &[u8], moment: &Moment) -> Result<(Ran, Transcript), Failure> {
        let ran = self.run("trust.mod", input, &[Grant::TrustGraph], Some(moment))?;
        let transcript = ran.run.transcript.as_ref();
        let transcript = transcript.ok_or_else(|| broken("a run has no transcript"))?;
        let path = self.path("trust.transcript");
        files::write(self.ui, &path, &execute::encode(transcript)?)?;
        let bytes = files::read(&path, "transcript", kapsule_engine::TRANSCRIPT_BYTES_DEFAULT)?;
        let transcript = Transcript::decode(&bytes).map_err(|error| {
            Failure::decode("the transcript cannot be read back", &error, "report this as a bug")
        })?;
        Ok((ran, transcript))
    }

    /// Replays a run of trust on the engine that did not run it, and compares everything.
    fn replay_elsewhere(&self, ran: &Ran, transcript: &Transcript) -> Result<Backend, Failure> {
        let engine = match ran.backend {
            Backend::Wasmi => Engine::Jit,
            Backend::Jit => Engine::Wasmi,
        };
        let (name, opened) = self.open("trust.mod")?;
        let loaded = execute::load(&name, &opened.package, &opened.module)?;
        let progress = self.ui.begin("replaying trust.mod on the other engine");
        let replayed = loaded.replay(transcript, engine, ReplayOptions::default())?;
        progress.end("replayed trust.mod");
        let disagree = |cause: String| {
            let hint = "report this as a bug, with both transcripts (--keep DIR)";
            Failure::new(ErrorCode::EngineDisagreement, "the engines disagree", hint).cause(cause)
        };
        if let Some(difference) = &replayed.replay.difference {
            return Err(disagree(difference.to_string()));
        }
        let again = replayed.replay.run.as_ref();
        let again = again.ok_or_else(|| broken("a replay without a difference has no run"))?;
        match differing(&ran.run, again) {
            [] => Ok(replayed.backend),
            fields => Err(disagree(format!("{} differ", fields.join(", ")))),
        }
    }
}

/// Returns which of outcome, fuel, transcript and output differ between two runs.
fn differing(first: &Run, second: &Run) -> &'static [&'static str] {
    let same = [
        first.outcome == second.outcome,
        first.usage.fuel == second.usage.fuel,
        first.transcript.is_some() && first.transcript == second.transcript,
        first.output == second.output,
    ];
    match same {
        [true, true, true, true] => &[],
        [false, ..] => &["outcome"],
        [_, false, ..] => &["fuel"],
        [_, _, false, _] => &["transcript"],
        [.., false] => &["output"],
    }
}
