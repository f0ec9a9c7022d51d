//! What verifying a signature costs the host, by suite, beside what the guest pays for it.

use kapsule_abi::Hostcall;
use kapsule_format::key::{SecretKey, Suite};
use kapsule_meter::FUEL_PER_MS;

use super::heading;
use crate::timing::compare;

/// Signatures of one measurement.
const COUNT: u32 = 50;
/// Measurements; the shortest counts.
const ROUNDS: usize = 20;
/// Bytes of the message, as long as the statement of a package.
const MESSAGE_BYTES: usize = 512;

/// Measures each suite against suite 1.
pub(super) fn measure() -> Result<Vec<String>, String> {
    let hostcall = Hostcall::from_name("signature_verify").ok_or("the hostcall is in the table")?;
    let title = format!("one signature_verify over {MESSAGE_BYTES} bytes, and what is paid for it");
    let mut lines = Vec::from(heading(&title));
    let peer = Verifying::new(Suite::Ed25519)?;
    for suite in Suite::ALL {
        let own = Verifying::new(suite)?;
        let pair = compare(ROUNDS, || own.run(), || peer.run())?;
        let us = pair.ours.as_secs_f64() * 1e6 / f64::from(COUNT);
        let fuel = hostcall.price.base + own.bytes() * hostcall.price.factor / 8;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let paid_us = f64::from(fuel) * 1e3 / FUEL_PER_MS as f64;
        lines.push(format!(
            "  {:<10} {:>5.2}x ed25519   {us:>6.1} us   {fuel} fuel, {:>5.2}x their time",
            suite.name(),
            pair.ratio(),
            us / paid_us,
        ));
    }
    Ok(lines)
}

/// A signature that verifies.
struct Verifying {
    secret: SecretKey,
    message: [u8; MESSAGE_BYTES],
    signature: Vec<u8>,
}

impl Verifying {
    fn new(suite: Suite) -> Result<Self, String> {
        let secret = SecretKey::from_seed(suite, &[0x5a; SecretKey::BYTES])
            .map_err(|error| error.to_string())?;
        let message = [7; MESSAGE_BYTES];
        Ok(Self { signature: secret.sign(&message), secret, message })
    }

    /// Returns the bytes that a guest passes.
    fn bytes(&self) -> u32 {
        let key = self.secret.public().as_bytes().len();
        u32::try_from(key + MESSAGE_BYTES + self.signature.len()).unwrap_or(u32::MAX)
    }

    /// Reads the key as a guest gives it and verifies, as often as is measured.
    fn run(&self) -> Result<(), String> {
        let public = self.secret.public();
        for _ in 0..COUNT {
            let key = kapsule_format::key::PublicKey::new(public.suite(), public.as_bytes())
                .map_err(|error| error.to_string())?;
            key.verify(&self.message, &self.signature).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
