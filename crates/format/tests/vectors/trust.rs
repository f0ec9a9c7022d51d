//! Group `trust`: trust files and their chains, acceptance files, and records of what is known.
//!
//! A chain is `[[file]]` tables, oldest first, each with its `json` and `[[file.companion]]` tables
//! of `name` and `json`; it may have a `pin` and a record `known`.

use kapsule_format::acceptance::Acceptance;
use kapsule_format::hash::decode_hex;
use kapsule_format::known::Known;
use kapsule_format::trust::{Chain, Link, Trust};

use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    match case.text("function") {
        "trust" => {
            let bytes = case.text("json").as_bytes();
            let trust = Trust::decode(bytes)?;
            assert_eq!(trust.encode(), bytes);
            Ok(format!("serial {}, {} keys", trust.serial, trust.keys.len()))
        }
        "accept" => {
            let bytes = case.text("json").as_bytes();
            let acceptance = Acceptance::decode(bytes)?;
            assert_eq!(acceptance.encode(), bytes);
            Ok(acceptance.level.to_string())
        }
        "known" => {
            let bytes = case.text("json").as_bytes();
            let known = Known::decode(bytes)?;
            assert_eq!(known.encode(), bytes);
            Ok("read".to_owned())
        }
        "chain" => chain(case),
        other => panic!("unknown function {other}"),
    }
}

fn chain(case: &Case) -> Verdict {
    let known = match case.find("known") {
        Some(_) => Known::decode(case.text("known").as_bytes())?,
        None => Known::default(),
    };
    let pin = case.find("pin").map(|_| decode_hex(case.text("pin")).unwrap());
    let pin = pin.map(kapsule_format::Digest::new);
    let files = case.find("file").and_then(toml::Value::as_array).unwrap();
    let links: Vec<Link<'_>> = files.iter().map(link).collect();
    let mut chain = Chain::begin(links[0].bytes)?;
    links[1..].iter().try_for_each(|link| chain.extend(link, false))?;
    known.check_chain(&chain, pin.as_ref())?;
    Ok(format!(
        "serial {} from {}, {} signers",
        chain.serial(),
        chain.first_serial(),
        chain.signers().len()
    ))
}

fn link(file: &toml::Value) -> Link<'_> {
    let companions = file.get("companion").and_then(toml::Value::as_array);
    Link {
        bytes: file["json"].as_str().unwrap().as_bytes(),
        companions: companions
            .into_iter()
            .flatten()
            .map(|one| (one["name"].as_str().unwrap(), one["json"].as_str().unwrap().as_bytes()))
            .collect(),
    }
}
