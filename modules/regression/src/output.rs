//! The output: the fit, as bits.

use alloc::vec::Vec;
use core::convert::Infallible;

use kapsule_guest::minicbor::Encoder;
use kapsule_guest::minicbor::encode;
use kapsule_modules_common::VERSION;

/// A whole result.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Value where every predictor is 0.
    pub intercept: f64,
    /// One slope for each predictor.
    pub slopes: Vec<f64>,
    /// Sum of the squared residuals.
    pub residual_sum: f64,
    /// Share of the variance that the predictors explain.
    pub determination: f64,
}

impl Output {
    /// Encodes the output as the README's CDDL says.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        self.write(&mut encoder).expect("encoding into a vector cannot fail");
        encoder.into_writer()
    }

    fn write(&self, encoder: &mut Encoder<Vec<u8>>) -> Result<(), encode::Error<Infallible>> {
        let bits = |values: &[f64]| -> Vec<u8> {
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        };
        encoder.map(5)?.u8(0)?.u64(VERSION)?;
        encoder.u8(1)?.bytes(&bits(&[self.intercept]))?;
        encoder.u8(2)?.bytes(&bits(&self.slopes))?;
        encoder.u8(3)?.bytes(&bits(&[self.residual_sum]))?;
        encoder.u8(4)?.bytes(&bits(&[self.determination]))?.ok()
    }
}
