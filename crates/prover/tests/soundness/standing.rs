//! How everything that can be left out stands, by the lists that the tests replay.

use std::collections::BTreeMap;

use super::runs::other_publics;
use super::survivors::{self, Survivors};
use super::{Run, cheats};

/// What is known of a constraint or an interaction that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Nothing follows, for a reason that is written down.
    Reason,
    /// Nothing follows, as a test checks by algebra.
    Algebra,
    /// A whole run that cheats, or another public value, is refused by it alone.
    Run,
    /// A row of `rows.txt` is refused by it alone.
    Solved,
    /// A changed row of `lies.txt` is refused by it alone.
    Changed,
}

impl Standing {
    /// Every standing, the plainest evidence first.
    pub(super) const ALL: [Self; 5] =
        [Self::Changed, Self::Solved, Self::Run, Self::Algebra, Self::Reason];
}

/// Returns how everything stands of which something is known, by its label.
pub(super) fn standings(runs: &[Run]) -> BTreeMap<String, Standing> {
    let Survivors { unshown, implied, .. } = Survivors::read();
    let cheats = cheats().filter(|cheat| cheat.refused_by.len() == 1);
    let known = unshown.into_iter().filter(|(_, reason)| !reason.starts_with("Open"));
    let lists = [
        (Standing::Reason, known.map(|(label, _)| label).collect::<Vec<String>>()),
        (Standing::Algebra, implied.into_keys().collect()),
        (Standing::Run, cheats.map(|cheat| cheat.refused_by[0].to_owned()).collect()),
        (Standing::Run, runs.iter().flat_map(other_publics).collect()),
        (Standing::Solved, survivors::rows().into_keys().collect()),
        (Standing::Changed, survivors::lies().into_iter().map(|(label, _)| label).collect()),
    ];
    let of_list = |(standing, labels): (Standing, Vec<String>)| {
        labels.into_iter().map(move |label| (label, standing))
    };
    // Later lists win.
    lists.into_iter().flat_map(of_list).collect()
}
