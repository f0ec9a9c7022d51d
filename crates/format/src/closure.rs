//! The closure of a package: every package that it needs, directly or through others.
//!
//! # Spec
//! `spec/package.md`, section "Closure".

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use kapsule_abi::{ErrorCode, guard};

use crate::package::{Package, PackageId};
use crate::verify::Verified;

/// How large a closure may be; the package whose closure it is does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosureLimits {
    /// Greatest number of packages that need each other in a row.
    pub depth: u32,
    /// Greatest number of packages.
    pub count: usize,
    /// Greatest sum of package bodies in bytes.
    pub bytes: u64,
}

impl ClosureLimits {
    /// What every reader accepts at most.
    pub const HARD: Self = Self { depth: 32, count: 4_096, bytes: 1 << 34 };

    /// What a reader accepts unless it is told otherwise.
    pub const DEFAULT: Self = Self { depth: 16, count: 256, bytes: 1 << 30 };
}

impl Default for ClosureLimits {
    /// Returns [`ClosureLimits::DEFAULT`].
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a resolver needs to know of a package.
pub trait Member {
    /// Returns the packages that this one needs.
    fn dependencies(&self) -> &[PackageId];

    /// Returns the bytes of its body.
    fn body_bytes(&self) -> u64;
}

impl Member for Verified<Package> {
    fn dependencies(&self) -> &[PackageId] {
        Package::dependencies(self)
    }

    fn body_bytes(&self) -> u64 {
        self.body().len() as u64
    }
}

/// A closure without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closure<T> {
    /// The packages by their ids.
    pub members: BTreeMap<PackageId, T>,
    /// Number of packages that need each other in the longest row.
    pub depth: u32,
    /// Sum of the package bodies in bytes.
    pub bytes: u64,
}

impl<T> Default for Closure<T> {
    /// The closure of a package that needs nothing.
    fn default() -> Self {
        Self { members: BTreeMap::new(), depth: 0, bytes: 0 }
    }
}

/// A package of a closure that nobody could supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Id of the package.
    pub package: PackageId,
    /// A package that needs it.
    pub needed_by: PackageId,
}

/// Why a closure cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClosureError<E> {
    /// Packages are absent: E203.
    Absent(Vec<Absent>),
    /// A limit is broken: E004.
    Limit {
        /// What was counted.
        what: &'static str,
        /// Its value when the search stopped.
        found: u64,
        /// Greatest value.
        allowed: u64,
    },
    /// Packages need each other in a circle, which no true hashes can say: E010.
    Cycle(Vec<PackageId>),
    /// A package could not be had.
    Fetch(E),
}

impl<E> ClosureError<E> {
    /// Returns the stable code, or `None` where [`ClosureError::Fetch`] has its own.
    #[must_use]
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Absent(_) => Some(ErrorCode::DependencyAbsent),
            Self::Limit { .. } => Some(ErrorCode::LimitExceeded),
            Self::Cycle(_) => Some(ErrorCode::CapsuleHashMismatch),
            Self::Fetch(_) => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for ClosureError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(absent) => {
                let line = |Absent { package, needed_by }: &Absent| {
                    format!("package {package}, needed by {needed_by}, is absent")
                };
                f.write_str(&absent.iter().map(line).collect::<Vec<String>>().join("; "))
            }
            Self::Limit { what, found, allowed } => {
                write!(f, "the closure has a {what} of {found}, allowed are {allowed}")
            }
            Self::Cycle(ids) => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                write!(f, "packages need each other in a circle: {}", ids.join(" -> "))
            }
            Self::Fetch(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for ClosureError<E> {}

/// Finds everything that `root` needs.
///
/// `fetch` is asked once for each package, with the package that needs it; it verifies what it
/// returns, above all that the id is that of the bytes.
/// Whatever it answers, the search ends: it stops at the first limit that is broken.
///
/// # Errors
/// [`ClosureError`]; absent packages are reported together, anything else at once.
///
/// # Determinism
/// Depends on the arguments and the answers alone.
pub fn resolve<T: Member, E>(
    root: PackageId,
    dependencies: &[PackageId],
    limits: ClosureLimits,
    fetch: impl FnMut(&PackageId, &PackageId) -> Result<Option<T>, E>,
) -> Result<Closure<T>, ClosureError<E>> {
    let limits = ClosureLimits {
        depth: limits.depth.min(ClosureLimits::HARD.depth),
        count: limits.count.min(ClosureLimits::HARD.count),
        bytes: limits.bytes.min(ClosureLimits::HARD.bytes),
    };
    let mut search = Search {
        limits,
        fetch,
        members: BTreeMap::new(),
        heights: BTreeMap::new(),
        bytes: 0,
        absent: Vec::new(),
        path: Vec::from([root]),
    };
    let depth = search.visit(dependencies)?;
    if guard!("format.closure.absent", !search.absent.is_empty()) {
        return Err(ClosureError::Absent(search.absent));
    }
    Ok(Closure { members: search.members, depth, bytes: search.bytes })
}

/// Returns `dependencies` and all that they need among `members`, each once, needed ones first.
#[must_use]
pub fn ordered<T: Member>(
    members: &BTreeMap<PackageId, T>,
    dependencies: &[PackageId],
) -> Vec<PackageId> {
    fn visit<T: Member>(
        members: &BTreeMap<PackageId, T>,
        ids: &[PackageId],
        seen: &mut BTreeSet<PackageId>,
        order: &mut Vec<PackageId>,
    ) {
        for id in ids {
            if seen.insert(*id) {
                let needs = members.get(id).map_or(&[][..], Member::dependencies);
                visit(members, needs, seen, order);
                order.push(*id);
            }
        }
    }
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    visit(members, dependencies, &mut seen, &mut order);
    order
}

/// A search in progress.
struct Search<T, F> {
    limits: ClosureLimits,
    fetch: F,
    members: BTreeMap<PackageId, T>,
    /// Packages in the longest row that starts with this one, for those whose needs were seen.
    heights: BTreeMap<PackageId, u32>,
    bytes: u64,
    absent: Vec<Absent>,
    /// From the root to the package whose needs are being looked at.
    path: Vec<PackageId>,
}

impl<T: Member, F> Search<T, F> {
    /// Visits what the last package of the path needs and returns the longest row among it.
    ///
    /// Recurses no deeper than the limit on depth.
    fn visit<E>(&mut self, dependencies: &[PackageId]) -> Result<u32, ClosureError<E>>
    where
        F: FnMut(&PackageId, &PackageId) -> Result<Option<T>, E>,
    {
        let mut longest = 0;
        for id in dependencies {
            let height = match self.heights.get(id) {
                Some(height) => *height,
                None => self.enter(id)?,
            };
            self.check_depth(height)?;
            longest = longest.max(height);
        }
        Ok(longest)
    }

    /// Fetches a package that is met for the first time and visits what it needs.
    fn enter<E>(&mut self, id: &PackageId) -> Result<u32, ClosureError<E>>
    where
        F: FnMut(&PackageId, &PackageId) -> Result<Option<T>, E>,
    {
        if let Some(start) = self.path.iter().position(|other| other == id) {
            let circle = self.path.iter().skip(start).chain([id]).copied();
            return Err(ClosureError::Cycle(circle.collect()));
        }
        self.check_depth(1)?;
        let count = self.heights.len() + self.path.len();
        if guard!("format.closure.count", count > self.limits.count) {
            return Err(limit("count", count as u64, self.limits.count as u64));
        }
        let needed_by = self.path.last().copied().unwrap_or(*id);
        let Some(member) = (self.fetch)(id, &needed_by).map_err(ClosureError::Fetch)? else {
            self.absent.push(Absent { package: *id, needed_by });
            self.heights.insert(*id, 1);
            return Ok(1);
        };
        self.bytes = self.bytes.saturating_add(member.body_bytes());
        if guard!("format.closure.bytes", self.bytes > self.limits.bytes) {
            return Err(limit("size in bytes", self.bytes, self.limits.bytes));
        }
        let dependencies = member.dependencies().to_vec();
        self.members.insert(*id, member);
        self.path.push(*id);
        let height = 1 + self.visit(&dependencies)?;
        self.path.pop();
        self.heights.insert(*id, height);
        Ok(height)
    }

    /// Refuses a row of this many packages below the last one of the path.
    fn check_depth<E>(&self, height: u32) -> Result<(), ClosureError<E>> {
        // The root is on the path and does not count.
        let above = u32::try_from(self.path.len()).unwrap_or(u32::MAX).saturating_sub(1);
        let depth = above.saturating_add(height);
        if guard!("format.closure.depth", depth > self.limits.depth) {
            return Err(limit("depth", depth.into(), self.limits.depth.into()));
        }
        Ok(())
    }
}

const fn limit<E>(what: &'static str, found: u64, allowed: u64) -> ClosureError<E> {
    ClosureError::Limit { what, found, allowed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;

    struct Node(Vec<PackageId>);

    impl Member for Node {
        fn dependencies(&self) -> &[PackageId] {
            &self.0
        }

        fn body_bytes(&self) -> u64 {
            10
        }
    }

    fn id(number: u16) -> PackageId {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        PackageId::new(Digest::new(bytes))
    }

    fn ids(numbers: &[u16]) -> Vec<PackageId> {
        numbers.iter().map(|number| id(*number)).collect()
    }

    const LIMITS: ClosureLimits = ClosureLimits { depth: 3, count: 5, bytes: 50 };

    /// Resolves 0 in a graph of (package, what it needs).
    fn check(
        graph: &[(u16, &[u16])],
        limits: ClosureLimits,
    ) -> Result<(Vec<PackageId>, u32, u64), ClosureError<&'static str>> {
        let graph: BTreeMap<PackageId, Vec<PackageId>> =
            graph.iter().map(|(package, needs)| (id(*package), ids(needs))).collect();
        let mut asked = BTreeSet::new();
        let closure = resolve(id(0), &graph[&id(0)], limits, |package, needed_by| {
            assert!(asked.insert(*package), "{package} was asked for twice");
            assert!(graph[needed_by].contains(package));
            if *package == id(666) {
                return Err("the disk is broken");
            }
            Ok(graph.get(package).map(|needs| Node(needs.clone())))
        })?;
        let order = ordered(&closure.members, &graph[&id(0)]);
        assert_eq!(order.len(), closure.members.len());
        Ok((order, closure.depth, closure.bytes))
    }

    #[test]
    fn everything_needed_is_found_once() {
        assert_eq!(check(&[(0, &[])], LIMITS), Ok((Vec::new(), 0, 0)));
        assert_eq!(check(&[(0, &[1]), (1, &[])], LIMITS), Ok((ids(&[1]), 1, 10)));
        let diamond: &[(u16, &[u16])] = &[(0, &[1, 2]), (1, &[3]), (2, &[3]), (3, &[])];
        assert_eq!(check(diamond, LIMITS), Ok((ids(&[3, 1, 2]), 2, 30)));
        // The longest row counts, also where its end was met by a shorter one.
        let late: &[(u16, &[u16])] = &[(0, &[1, 2]), (1, &[]), (2, &[3]), (3, &[1])];
        assert_eq!(check(late, LIMITS), Ok((ids(&[1, 3, 2]), 3, 30)));
    }

    #[test]
    fn each_limit_is_the_greatest_that_passes() {
        let chain: &[(u16, &[u16])] = &[(0, &[1]), (1, &[2]), (2, &[3]), (3, &[])];
        assert_eq!(check(chain, LIMITS).map(|found| found.1), Ok(3));
        let shallow = ClosureLimits { depth: 2, ..LIMITS };
        assert_eq!(check(chain, shallow), Err(limit("depth", 3, 2)));
        let late: &[(u16, &[u16])] = &[(0, &[1, 2]), (1, &[3]), (2, &[1]), (3, &[])];
        assert_eq!(check(late, shallow), Err(limit("depth", 3, 2)));
        let wide: &[(u16, &[u16])] =
            &[(0, &[1, 2, 3, 4, 5]), (1, &[]), (2, &[]), (3, &[]), (4, &[]), (5, &[])];
        assert_eq!(check(wide, LIMITS).map(|found| found.2), Ok(50));
        let few = ClosureLimits { count: 4, ..LIMITS };
        assert_eq!(check(wide, few), Err(limit("count", 5, 4)));
        let small = ClosureLimits { bytes: 49, ..LIMITS };
        assert_eq!(check(wide, small), Err(limit("size in bytes", 50, 49)));
    }

    #[test]
    fn no_caller_exceeds_the_hard_limits() {
        let beyond = ClosureLimits { depth: u32::MAX, count: usize::MAX, bytes: u64::MAX };
        let next = |package: &PackageId| {
            let bytes = package.as_bytes();
            u16::from_be_bytes([bytes[0], bytes[1]]) + 1
        };
        let endless = resolve(id(0), &ids(&[1]), beyond, |package, _| {
            Ok::<_, &str>(Some(Node(ids(&[next(package)]))))
        });
        assert_eq!(endless.err(), Some(limit("depth", 33, 32)));
        let comb: Vec<u16> = (1..=5_000).collect();
        let wide =
            resolve(id(0), &ids(&comb), beyond, |_, _| Ok::<_, &str>(Some(Node(Vec::new()))));
        assert_eq!(wide.err(), Some(limit("count", 4_097, 4_096)));
    }

    #[test]
    fn a_circle_is_named_and_ends_the_search() {
        let circle: &[(u16, &[u16])] = &[(0, &[1]), (1, &[2]), (2, &[1])];
        let found = check(circle, LIMITS).unwrap_err();
        assert_eq!(found, ClosureError::Cycle(ids(&[1, 2, 1])));
        assert_eq!(found.code(), Some(ErrorCode::CapsuleHashMismatch));
        assert!(found.to_string().contains(" -> "), "{found}");
        let root = check(&[(0, &[1]), (1, &[0])], LIMITS).unwrap_err();
        assert_eq!(root, ClosureError::Cycle(ids(&[0, 1, 0])));
    }

    #[test]
    fn absent_packages_are_named_together() {
        let graph: &[(u16, &[u16])] = &[(0, &[1, 2, 9]), (1, &[8]), (2, &[8])];
        let found = check(graph, LIMITS).unwrap_err();
        let absent = |package, needed_by| Absent { package: id(package), needed_by: id(needed_by) };
        assert_eq!(found, ClosureError::Absent([absent(8, 1), absent(9, 0)].into()));
        assert_eq!(found.code(), Some(ErrorCode::DependencyAbsent));
        let text = found.to_string();
        assert!(text.contains(&format!("package {}, needed by {}", id(9), id(0))), "{text}");
    }

    #[test]
    fn a_failing_source_ends_the_search() {
        let found = check(&[(0, &[1, 666]), (1, &[])], LIMITS).unwrap_err();
        assert_eq!(found, ClosureError::Fetch("the disk is broken"));
        assert_eq!((found.code(), found.to_string()), (None, "the disk is broken".to_string()));
    }
}
