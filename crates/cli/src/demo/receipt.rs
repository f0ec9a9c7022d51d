//! The receipt of the run of trust: issued, verified, and its run repeated.

use kapsule_engine::Backend;
use kapsule_format::receipt::ReceiptId;
use kapsule_format::verify::{CheckResult, ReceiptOptions, Reexecution, Report};

use super::{Stage, broken};
use crate::closure::Sources;
use crate::error::Failure;
use crate::execute::{Engine, Ran};
use crate::files;
use crate::opening::Files;
use crate::receipts::{self, Besides, Moment, Subject};

/// A receipt with what verifying it and repeating its run has shown.
pub(crate) struct Receipted {
    /// Its id.
    pub(crate) id: ReceiptId,
    /// Length of the file.
    pub(crate) bytes: usize,
    /// The report, with the check `reexec`.
    pub(crate) report: Report,
    /// Engine that repeated the run.
    pub(crate) backend: Backend,
}

impl Stage<'_> {
    /// Issues the receipt of a run of trust by its author, verifies it, and repeats the run on the
    /// engine that did not run it.
    pub(super) fn receipt(
        &self,
        ran: &Ran,
        input: &[u8],
        moment: &Moment,
    ) -> Result<Receipted, Failure> {
        let progress = self.ui.begin("issuing a receipt");
        let (_, opened) = self.open("trust.mod")?;
        let subject = Subject { package: &opened.package, library: None, input, run: &ran.run };
        let besides = Besides::default();
        let (claim, bytes) = receipts::issue(&self.author, moment, &besides, &subject)?;
        let path = self.path("trust.cap");
        files::write(self.ui, &path, &bytes)?;
        let verifier = self.trust.verifier()?;
        let files = Files::read(&path)?;
        let engine = match ran.backend {
            Backend::Wasmi => Engine::Jit,
            Backend::Jit => Engine::Wasmi,
        };
        let sources = Sources::default();
        let repeated = receipts::repeat(self.ui, &verifier, &files, engine, &sources)?;
        if let Some(difference) = repeated.difference {
            return Err(broken("the receipt of a run is not what happened").cause(difference));
        }
        let backend = repeated.backend;
        let detail = format!("identical on {backend}");
        let reexecution = Some(Reexecution { result: CheckResult::Pass, detail });
        let asked =
            ReceiptOptions { nonce: Some(moment.nonce), reexecution, ..ReceiptOptions::default() };
        let report = verifier.receipt(files.bytes(), &asked, true)?;
        progress.end("trust.cap is issued and verified, and its run repeated");
        Ok(Receipted { id: claim.id(), bytes: bytes.len(), report, backend })
    }
}
