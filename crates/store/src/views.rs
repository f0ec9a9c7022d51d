//! What packages made of many capsules, and what an agent proposed.
//!
//! A row is derived: it can be made again from the capsules at any time.
//! Whether it still holds is for the caller to say, who knows packages, keys and time; the store
//! says whether capsules came since.

use kapsule_abi::ErrorCode;
use kapsule_format::Digest;
use kapsule_format::capsule::{CapsuleId, ChannelId};
use kapsule_format::hash::sha256;
use kapsule_format::key::IdentityId;
use kapsule_format::package::PackageId;
use rusqlite::{Row, params};

use crate::capsules::{CAPSULE, CapsuleRow, View, capsule_row};
use crate::error::{StoreError, corrupt};
use crate::log::{digest, from_sql, to_sql};
use crate::open::Write;

/// What a package made of many capsules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewRow {
    /// Name of the view.
    pub name: String,
    /// Which capsules and whose eyes: a digest of the caller's.
    pub scope: Digest,
    /// Everything but capsules and time that the output depends on: a digest of the caller's.
    pub basis: Digest,
    /// Package that ran.
    pub package: PackageId,
    /// Entry that was called.
    pub entry_point: String,
    /// SHA-256 of the input.
    pub input: Digest,
    /// Greatest number of a capsule that was there.
    pub last: u64,
    /// Time that the package was told, in milliseconds since 1970.
    pub now_ms: u64,
    /// First later time at which the input would be another one without any new capsule.
    pub until_ms: u64,
    /// Printed outcome.
    pub outcome: String,
    /// Fuel that the run used.
    pub fuel: u64,
    /// SHA-256 of the output of the run.
    pub output: Digest,
}

impl ViewRow {
    /// Tells whether the input is still the same at a time, as far as time changes it.
    #[must_use]
    pub const fn holds_at(&self, now_ms: u64) -> bool {
        self.now_ms <= now_ms && now_ms < self.until_ms
    }
}

/// Something that an agent wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalRow {
    /// Number by which people name it, from 1.
    pub number: u64,
    /// Log entry of the run that proposed it.
    pub run: u64,
    /// The proposal, in the form of the hostcall `propose`.
    pub body: Vec<u8>,
    /// What was decided, if anything was.
    pub decision: Option<String>,
    /// Log entry of that decision.
    pub entry: Option<u64>,
}

/// Columns of [`view_row`].
const VIEW: &str = "name, scope, basis, package, entry_point, input, last, now_ms, until_ms,
    outcome, fuel, sha256";

fn view_row(row: &Row<'_>) -> Result<ViewRow, StoreError> {
    Ok(ViewRow {
        name: row.get(0)?,
        scope: digest(row.get(1)?)?,
        basis: digest(row.get(2)?)?,
        package: PackageId::new(digest(row.get(3)?)?),
        entry_point: row.get(4)?,
        input: digest(row.get(5)?)?,
        last: from_sql(row.get(6)?)?,
        now_ms: from_sql(row.get(7)?)?,
        until_ms: from_sql(row.get(8)?)?,
        outcome: row.get(9)?,
        fuel: from_sql(row.get(10)?)?,
        output: digest(row.get(11)?)?,
    })
}

fn proposal_row(row: &Row<'_>) -> Result<ProposalRow, StoreError> {
    Ok(ProposalRow {
        number: from_sql(row.get(0)?)?,
        run: from_sql(row.get(1)?)?,
        body: row.get(2)?,
        decision: row.get(3)?,
        entry: row.get::<_, Option<i64>>(4)?.map(from_sql).transpose()?,
    })
}

/// Returns one digest for the proposals of a run, in their order.
#[must_use]
pub fn proposals_digest<B: AsRef<[u8]>>(bodies: impl IntoIterator<Item = B>) -> Digest {
    let digests = bodies.into_iter().flat_map(|body| *sha256(body.as_ref()).as_bytes());
    sha256(&digests.collect::<Vec<u8>>())
}

impl View<'_> {
    /// Returns what was computed for a view and a scope, if anything was.
    ///
    /// # Errors
    /// Those of the database.
    pub fn computed(&self, name: &str, scope: &Digest) -> Result<Option<ViewRow>, StoreError> {
        let sql = format!("SELECT {VIEW} FROM view WHERE name = ?1 AND scope = ?2");
        Ok(self.list(&sql, params![name, scope.as_ref()], view_row)?.pop())
    }

    /// Returns the output of a view.
    ///
    /// # Errors
    /// E503 for one with another digest, or none.
    pub fn output(&self, row: &ViewRow) -> Result<Vec<u8>, StoreError> {
        let sql = "SELECT output FROM view WHERE name = ?1 AND scope = ?2";
        let found = self.list(sql, params![row.name, row.scope.as_ref()], |row| Ok(row.get(0)?))?;
        let output: Vec<u8> = found.into_iter().next().unwrap_or_default();
        if kapsule_abi::guard!("store.view.digest", sha256(&output) != row.output) {
            return Err(corrupt(format!("the output of the view {} has another digest", row.name)));
        }
        Ok(output)
    }

    /// Returns every computed view, by name and scope, with the log entry that tells of it.
    ///
    /// # Errors
    /// Those of the database.
    pub fn all_computed(&self) -> Result<Vec<(ViewRow, u64)>, StoreError> {
        let sql = format!("SELECT {VIEW}, entry FROM view ORDER BY name, scope");
        self.list(&sql, [], |row| Ok((view_row(row)?, from_sql(row.get(12)?)?)))
    }

    /// Returns every keyring in the order in which they were accepted, without a look at other
    /// capsules.
    ///
    /// # Errors
    /// Those of the database.
    pub fn all_keyrings(&self) -> Result<Vec<CapsuleRow>, StoreError> {
        // The kind stands in the text, so that the index of keyrings is used.
        let sql = format!("SELECT {CAPSULE} FROM capsule WHERE kind = 'keyring' ORDER BY number");
        self.list(&sql, [], capsule_row)
    }

    /// Returns the greatest number of a capsule, 0 where there is none.
    ///
    /// # Errors
    /// Those of the database.
    pub fn last_number(&self) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(max(number), 0) FROM capsule";
        from_sql(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// Tells whether capsules of these kinds came after the one of this number, in a channel where
    /// one is named.
    ///
    /// Looks at the new capsules alone.
    ///
    /// # Errors
    /// Those of the database.
    pub fn came_since(
        &self,
        number: u64,
        channel: Option<&ChannelId>,
        kinds: &[&str],
    ) -> Result<bool, StoreError> {
        let sql = "SELECT kind FROM capsule WHERE number > ?1 AND (?2 IS NULL OR channel = ?2)";
        let mut statement = self.connection.prepare_cached(sql)?;
        let channel: Option<&[u8]> = channel.map(AsRef::as_ref);
        let mut rows = statement.query(params![to_sql(number)?, channel])?;
        while let Some(row) = rows.next()? {
            if kinds.contains(&row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the capsules of a kind with the latest claimed times, at most `most`, latest first;
    /// those of a channel or an author where one is named.
    ///
    /// # Errors
    /// Those of the database.
    pub fn latest(
        &self,
        channel: Option<&ChannelId>,
        author: Option<&IdentityId>,
        kind: &str,
        most: u64,
    ) -> Result<Vec<CapsuleRow>, StoreError> {
        let sql = format!(
            "SELECT {CAPSULE} FROM capsule
             WHERE (?1 IS NULL OR channel = ?1) AND (?2 IS NULL OR author = ?2) AND kind = ?3
             ORDER BY time_ms DESC, number DESC LIMIT ?4"
        );
        let channel: Option<&[u8]> = channel.map(AsRef::as_ref);
        let author: Option<&[u8]> = author.map(AsRef::as_ref);
        self.list(&sql, params![channel, author, kind, to_sql(most)?], capsule_row)
    }

    /// Returns the capsules after the one of this number in the order in which they were accepted,
    /// at most `most`, each with its number.
    ///
    /// # Errors
    /// Those of the database.
    pub fn accepted_after(
        &self,
        number: u64,
        most: u64,
    ) -> Result<Vec<(u64, CapsuleRow)>, StoreError> {
        let sql = format!(
            "SELECT {CAPSULE}, number FROM capsule WHERE number > ?1 ORDER BY number LIMIT ?2"
        );
        self.list(&sql, params![to_sql(number)?, to_sql(most)?], |row| {
            Ok((from_sql(row.get("number")?)?, capsule_row(row)?))
        })
    }

    /// Returns the last capsule of an author in a channel: its number and the capsule.
    ///
    /// # Errors
    /// Those of the database.
    pub fn last_of(
        &self,
        channel: &ChannelId,
        author: &IdentityId,
    ) -> Result<Option<(u64, CapsuleId)>, StoreError> {
        let sql = "SELECT seq, id FROM capsule WHERE channel = ?1 AND author = ?2
                   ORDER BY seq DESC, number LIMIT 1";
        let read =
            |row: &Row<'_>| Ok((from_sql(row.get(0)?)?, CapsuleId::new(digest(row.get(1)?)?)));
        Ok(self.list(sql, [channel.as_ref(), author.as_ref()], read)?.pop())
    }

    /// Tells whether a held capsule follows this one.
    ///
    /// # Errors
    /// Those of the database.
    pub fn is_followed(&self, id: &CapsuleId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM parent WHERE parent = ?1 LIMIT 1";
        Ok(!self.list(sql, [id.as_ref()], |_| Ok(()))?.is_empty())
    }

    /// Returns what agents proposed, in order: everything, or what nobody decided about yet.
    ///
    /// # Errors
    /// Those of the database.
    pub fn proposals(&self, waiting: bool) -> Result<Vec<ProposalRow>, StoreError> {
        let sql = "SELECT number, run, body, decision, entry FROM proposal
                   WHERE NOT ?1 OR decision IS NULL ORDER BY number";
        self.list(sql, [waiting], proposal_row)
    }

    /// Returns one proposal.
    ///
    /// # Errors
    /// Those of the database.
    pub fn proposal(&self, number: u64) -> Result<Option<ProposalRow>, StoreError> {
        let sql = "SELECT number, run, body, decision, entry FROM proposal WHERE number = ?1";
        Ok(self.list(sql, [to_sql(number)?], proposal_row)?.pop())
    }
}

impl Write<'_> {
    /// Keeps what a package made of many capsules, in place of what it made before; the log entry
    /// at `entry` tells of it.
    ///
    /// # Errors
    /// Those of the database.
    pub fn put_view(
        &mut self,
        view: &ViewRow,
        output: &[u8],
        entry: u64,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT OR REPLACE INTO view({VIEW}, output, entry)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
        );
        self.transaction.prepare_cached(&sql)?.execute(params![
            view.name,
            view.scope.as_ref(),
            view.basis.as_ref(),
            view.package.as_ref(),
            view.entry_point,
            view.input.as_ref(),
            to_sql(view.last)?,
            to_sql(view.now_ms)?,
            to_sql(view.until_ms)?,
            view.outcome,
            to_sql(view.fuel)?,
            view.output.as_ref(),
            output,
            to_sql(entry)?,
        ])?;
        Ok(())
    }

    /// Keeps a proposal of the run of which the log entry at `run` tells; returns its number.
    ///
    /// # Errors
    /// Those of the database.
    pub fn put_proposal(&mut self, body: &[u8], run: u64) -> Result<u64, StoreError> {
        let sql = "INSERT INTO proposal(run, body) VALUES (?1, ?2)";
        self.transaction.prepare_cached(sql)?.execute(params![to_sql(run)?, body])?;
        from_sql(self.transaction.last_insert_rowid())
    }

    /// Decides about a proposal, once; the log entry at `entry` tells of it.
    ///
    /// # Errors
    /// E511 if it was decided already, or there is none of this number.
    pub fn decide(&mut self, number: u64, decision: &str, entry: u64) -> Result<(), StoreError> {
        let sql = "UPDATE proposal SET decision = ?2, entry = ?3
                   WHERE number = ?1 AND decision IS NULL";
        let changed = self.transaction.prepare_cached(sql)?.execute(params![
            to_sql(number)?,
            decision,
            to_sql(entry)?
        ])?;
        if kapsule_abi::guard!("store.view.decided_once", changed == 0) {
            let detail = format!("there is no proposal {number} that waits");
            let error = kapsule_format::DecodeError::new(ErrorCode::WriteConflict, detail);
            return Err(StoreError::Damaged(error));
        }
        Ok(())
    }
}
