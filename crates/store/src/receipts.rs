//! Receipts that were verified and kept, one for each requester and nonce.

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::receipt::{Claim, Receipt, ReceiptId};
use kapsule_format::{DecodeError, Digest};
use rusqlite::params;

use crate::capsules::View;
use crate::error::StoreError;
use crate::log::{digest, from_sql, to_sql};
use crate::open::Write;

/// A receipt of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptRow {
    /// Its id.
    pub id: ReceiptId,
    /// Who asked for the run, or who issued the receipt where nobody is named.
    pub requester: Digest,
    /// Nonce of the job.
    pub nonce: Digest,
    /// The file.
    pub file: Vec<u8>,
    /// Index of the log entry that tells of it.
    pub entry: u64,
}

impl ReceiptRow {
    /// Tells whether the file is the receipt that the row names.
    pub(crate) fn is_sound(&self) -> bool {
        Receipt::decode(&self.file).is_ok_and(|receipt| {
            let claim = receipt.claim();
            (claim.id(), requester(claim), Digest::new(claim.job.nonce))
                == (self.id, self.requester, self.nonce)
        })
    }
}

/// Returns whose nonce a claim uses up.
fn requester(claim: &Claim) -> Digest {
    claim.job.requester.unwrap_or(*claim.issuer.id().digest())
}

impl View<'_> {
    /// Returns every receipt, in the order in which they were kept.
    ///
    /// # Errors
    /// Those of the database.
    pub fn receipts(&self) -> Result<Vec<ReceiptRow>, StoreError> {
        let sql = "SELECT id, requester, nonce, file, entry FROM receipt ORDER BY entry";
        self.list(sql, [], |row| {
            Ok(ReceiptRow {
                id: ReceiptId::new(digest(row.get(0)?)?),
                requester: digest(row.get(1)?)?,
                nonce: digest(row.get(2)?)?,
                file: row.get(3)?,
                entry: from_sql(row.get(4)?)?,
            })
        })
    }

    /// Returns the id of the receipt by which a nonce was used up.
    ///
    /// # Errors
    /// Those of the database.
    pub fn receipt_of_job(&self, claim: &Claim) -> Result<Option<ReceiptId>, StoreError> {
        let sql = "SELECT id FROM receipt WHERE requester = ?1 AND nonce = ?2";
        let job = [requester(claim).as_ref().to_vec(), claim.job.nonce.to_vec()];
        let found = self.list(sql, job, |row| Ok(ReceiptId::new(digest(row.get(0)?)?)))?;
        Ok(found.into_iter().next())
    }
}

impl Write<'_> {
    /// Keeps a receipt, of which the log entry at `entry` tells; the caller has verified it.
    ///
    /// A receipt that is held already is kept with the bytes that it has now, since anybody can
    /// attach entries to one.
    ///
    /// # Errors
    /// E122 for another receipt of a requester and nonce that the store has one of; those of the
    /// form of a receipt.
    pub fn put_receipt(&mut self, file: &[u8], entry: u64) -> Result<ReceiptId, StoreError> {
        let receipt = Receipt::decode(file)?;
        let claim = receipt.claim();
        let held = self.view().receipt_of_job(claim)?.filter(|held| *held != claim.id());
        if let Some(held) = held
            && guard!("store.receipt.replayed", true)
        {
            let detail = format!("receipt {held} has this requester and this nonce");
            let error = DecodeError::new(ErrorCode::ReceiptReplayed, detail);
            return Err(StoreError::Damaged(error));
        }
        let sql = "INSERT OR REPLACE INTO receipt(id, requester, nonce, file, entry)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        self.transaction.prepare_cached(sql)?.execute(params![
            claim.id().as_ref(),
            requester(claim).as_ref(),
            claim.job.nonce,
            file,
            to_sql(entry)?,
        ])?;
        Ok(claim.id())
    }
}
