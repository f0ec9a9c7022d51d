//! Group `log`: an `entry`, a `chain` of entries, a `checkpoint`, a verifier key, a `proof`.

use kapsule_format::log::{
    Chain, Checkpoint, Entry, LogName, LogProof, SignedCheckpoint, VerifierKey, check_consistency,
};
use kapsule_format::{Digest, klog};

use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    match case.text("function") {
        "entry" => {
            let bytes = case.bytes("bytes");
            let entry = Entry::decode(&bytes)?;
            assert_eq!(entry.encode()?, bytes);
            Ok(format!("{} at {}", entry.kind.name(), entry.index))
        }
        "chain" => chain(case),
        "checkpoint" => {
            let text = case.text("text");
            let note = SignedCheckpoint::decode(text.as_bytes())?;
            note.verify(&case.text("vkey").parse()?)?;
            assert_eq!(note.encode(), text);
            Ok(format!("{} of {}", note.checkpoint.root, note.checkpoint.size))
        }
        "vkey" => {
            let vkey: VerifierKey = case.text("text").parse()?;
            assert_eq!(vkey.to_string(), case.text("text"));
            Ok(vkey.key().to_string())
        }
        "proof" => {
            let text = case.text("text");
            let proof = LogProof::decode(text.as_bytes())?;
            assert_eq!(proof.encode(), text);
            let subject: Digest = case.text("subject").parse()?;
            let entry = proof.verify(&case.text("vkey").parse()?, &subject)?;
            Ok(format!("{} at {}", entry.kind.name(), entry.index))
        }
        "consistency" => {
            let proof: Vec<Digest> =
                case.texts("proof").iter().map(|hash| hash.parse().unwrap()).collect();
            check_consistency(&checkpoint(case, "old"), &checkpoint(case, "new"), &proof)?;
            Ok("consistent".to_owned())
        }
        other => panic!("unknown function {other}"),
    }
}

/// Reads the entries of a KLOG file as one log; prints the head and the root.
fn chain(case: &Case) -> Verdict {
    let mut chain = Chain::new(LogName::new(case.text("origin"))?);
    for record in klog::Reader::new(&case.bytes("bytes")) {
        chain.push(record?.bytes)?;
    }
    if let Some(seen) = case.find("checkpoint") {
        let note = SignedCheckpoint::decode(seen.as_str().unwrap().as_bytes())?;
        chain.check_reaches(&note.checkpoint)?;
    }
    Ok(format!("{} {}", chain.head(), chain.root()))
}

/// Reads `<origin> <size> <root>`.
fn checkpoint(case: &Case, name: &str) -> Checkpoint {
    let parts: Vec<&str> = case.text(name).split(' ').collect();
    let [origin, size, root] = parts[..] else { panic!("{name} has three parts") };
    let (size, root) = (size.parse().unwrap(), root.parse().unwrap());
    Checkpoint { origin: LogName::new(origin).unwrap(), size, root }
}
