//! Policies: the effective policy is at most both sides, and says why.

use kapsule_abi::ErrorCode;
use kapsule_format::policy::{Filesystem, Limits, Network, Policy, Side, effective};
use proptest::prelude::*;

/// Tells whether `path` lies under one of `paths`.
fn is_covered(path: &str, paths: &[String]) -> bool {
    paths.iter().any(|outer| outer == path || (outer.ends_with('/') && path.starts_with(outer)))
}

/// Tells whether `inner` allows nothing that `outer` does not.
fn is_at_most(inner: &Policy, outer: &Policy) -> bool {
    let limits = inner.limits.fields().into_iter().zip(outer.limits.fields());
    let network = |inner: bool, outer: bool| !inner || outer;
    limits.into_iter().all(|((_, inner), (_, outer))| inner <= outer)
        && inner.hostcalls.iter().all(|name| outer.hostcalls.contains(name))
        && (outer.kinds.is_empty()
            || (!inner.kinds.is_empty()
                && inner.kinds.iter().all(|kind| outer.kinds.contains(kind))))
        && inner
            .filesystem
            .read_only
            .iter()
            .all(|path| is_covered(path, &outer.filesystem.read_only))
        && inner
            .filesystem
            .write_allowed
            .iter()
            .all(|path| is_covered(path, &outer.filesystem.write_allowed))
        && network(inner.network.allow_mesh, outer.network.allow_mesh)
        && network(inner.network.allow_clearnet, outer.network.allow_clearnet)
}

fn names(pool: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    proptest::sample::subsequence(pool, 0..=pool.len())
        .prop_map(|names| names.into_iter().map(str::to_owned).collect())
}

/// Lists of paths that keep the rules of a policy.
fn paths() -> impl Strategy<Value = Vec<String>> {
    const POOL: &[&str] = &["/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/ab", "/c/", "/c/d"];
    names(POOL).prop_filter("no path inside another", |paths| {
        let filesystem = Filesystem { read_only: paths.clone(), write_allowed: Vec::new() };
        Policy { filesystem, ..Policy::default() }.validate().is_ok()
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    let limits = proptest::array::uniform6(0_u64..1 << 24).prop_map(Limits::from_values);
    let networks = (any::<bool>(), any::<bool>());
    let hostcalls = names(&["hash", "now", "random", "trust_edges"]);
    let kinds = names(&["comment", "post", "trust"]);
    (paths(), paths(), hostcalls, kinds, limits, networks).prop_map(
        |(read_only, write_allowed, hostcalls, kinds, limits, (allow_clearnet, allow_mesh))| {
            Policy {
                filesystem: Filesystem { read_only, write_allowed },
                hostcalls,
                kinds,
                limits,
                network: Network { allow_clearnet, allow_mesh },
            }
        },
    )
}

proptest! {
    #[test]
    fn encoding_is_the_identity(policy in policies()) {
        prop_assert_eq!(Policy::decode(&policy.encode()).unwrap(), policy);
    }

    #[test]
    fn the_effective_policy_is_at_most_both_sides(a in policies(), b in policies()) {
        match effective(&a, &b) {
            Ok((policy, notes)) => {
                prop_assert!(is_at_most(&policy, &a) && is_at_most(&policy, &b));
                prop_assert!(policy.validate().is_ok());
                prop_assert_eq!(&effective(&b, &a).unwrap().0, &policy);
                prop_assert_eq!(&effective(&policy, &a).unwrap().0, &policy);
                prop_assert_eq!(notes.iter().any(|n| n.by == Side::Host), policy != a);
                prop_assert_eq!(notes.iter().any(|n| n.by == Side::Package), policy != b);
            }
            Err(error) => {
                prop_assert_eq!(error.code, ErrorCode::ResourcesExceedPolicy);
                prop_assert!(a.kinds.iter().all(|kind| !b.kinds.contains(kind)));
                prop_assert_eq!(effective(&b, &a).map(drop).unwrap_err().code, error.code);
            }
        }
    }

    #[test]
    fn a_policy_narrowed_by_itself_stays(policy in policies()) {
        prop_assert_eq!(effective(&policy, &policy).unwrap(), (policy.clone(), Vec::new()));
    }
}

#[test]
fn the_explanation_names_field_side_and_values() {
    let package = Policy {
        hostcalls: vec!["now".into(), "random".into()],
        kinds: vec!["post".into()],
        filesystem: Filesystem { read_only: vec!["/a/".into()], write_allowed: vec![] },
        network: Network { allow_clearnet: false, allow_mesh: true },
        ..Policy::default()
    };
    let grant = Policy {
        hostcalls: vec!["random".into(), "trust_edges".into()],
        limits: Limits { fuel: 7, calls: 200_000, ..Limits::default() },
        filesystem: Filesystem { read_only: vec!["/a/b".into()], write_allowed: vec![] },
        ..Policy::default()
    };
    let (_, notes) = effective(&package, &grant).unwrap();
    let lines: Vec<String> = notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "filesystem.read_only: without /a/ (narrowed by the host grant)",
            "hostcalls: without trust_edges (narrowed by the package)",
            "hostcalls: without now (narrowed by the host grant)",
            "kinds: post of any (narrowed by the package)",
            "limits.calls: 100000 of 200000 (narrowed by the package)",
            "limits.fuel: 7 of 1000000000 (narrowed by the host grant)",
            "network.allow_mesh: false of true (narrowed by the host grant)",
        ]
    );
}

#[test]
fn a_policy_file_has_a_greatest_size() {
    // Kinds have no limit of their own, so only the size refuses this one.
    let kinds = (0..8_000).map(|number| format!("kind{number:05}")).collect();
    let policy = Policy { kinds, ..Policy::default() };
    assert_eq!(policy.validate(), Ok(()));
    let error = Policy::decode(&policy.encode()).unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded);
}

#[test]
fn fuel_above_the_hard_limit_is_refused_before_it_is_encoded() {
    let limits = Limits { fuel: 1 << 53, ..Limits::default() };
    let error = Policy { limits, ..Policy::default() }.validate().unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded);
}
