//! The output: the state after, and what became of each transaction.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::convert::Infallible;

use kapsule_guest::minicbor::Encoder;
use kapsule_guest::minicbor::encode;
use kapsule_modules_common::{Name, VERSION};

use crate::apply::Verdict;
use crate::state::State;

/// A whole result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<'a> {
    /// The state after.
    pub state: State<'a>,
    /// One verdict for each transaction, in their order.
    pub verdicts: Vec<Verdict>,
}

/// Nonce and balances by asset.
type Row<'a> = (u64, Vec<(Name<'a>, u64)>);

impl Output<'_> {
    /// Encodes the output as the README's CDDL says.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        self.write(&mut encoder).expect("encoding into a vector cannot fail");
        encoder.into_writer()
    }

    fn write(&self, encoder: &mut Encoder<Vec<u8>>) -> Result<(), encode::Error<Infallible>> {
        let rows = self.rows();
        encoder.map(3)?.u8(0)?.u64(VERSION)?.u8(1)?.array(rows.len() as u64)?;
        for (account, (nonce, balances)) in rows {
            encoder.array(3)?.encode(account)?.u64(nonce)?.array(balances.len() as u64)?;
            for (asset, balance) in balances {
                encoder.array(2)?.encode(asset)?.u64(balance)?;
            }
        }
        encoder.u8(2)?.array(self.verdicts.len() as u64)?;
        for verdict in &self.verdicts {
            encoder.u8(*verdict as u8)?;
        }
        Ok(())
    }

    fn rows(&self) -> BTreeMap<Name<'_>, Row<'_>> {
        let mut rows: BTreeMap<Name<'_>, Row<'_>> = BTreeMap::new();
        for (account, nonce) in self.state.nonces() {
            rows.entry(account).or_default().0 = nonce;
        }
        for (account, asset, balance) in self.state.balances() {
            rows.entry(account).or_default().1.push((asset, balance));
        }
        rows
    }
}
