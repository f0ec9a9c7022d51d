//! The graph of a channel, for those who exchange parts of it.

use std::collections::{BTreeMap, BTreeSet};

use kapsule_format::capsule::fork::Fork;
use kapsule_format::capsule::{CapsuleId, ChannelId};
use kapsule_format::key::IdentityId;
use kapsule_format::snapshot::Node;
use rusqlite::Row;

use crate::capsules::View;
use crate::error::StoreError;
use crate::log::{digest, from_sql};

impl View<'_> {
    /// Returns the capsules of a channel with their arrows, in the order in which they were
    /// accepted.
    ///
    /// Takes some microseconds and some hundred bytes of memory for each.
    ///
    /// # Errors
    /// Those of the database.
    pub fn nodes(&self, channel: &ChannelId) -> Result<Vec<Node>, StoreError> {
        let sql = "SELECT id, time_ms, size, parent.parent FROM capsule
                   LEFT JOIN parent ON parent.child = capsule.id
                   WHERE channel = ?1 ORDER BY number, parent.parent";
        let mut nodes: Vec<Node> = Vec::new();
        let read = |row: &Row<'_>| {
            let id = CapsuleId::new(digest(row.get(0)?)?);
            let parent: Option<Vec<u8>> = row.get(3)?;
            let parent = parent.map(digest).transpose()?.map(CapsuleId::new);
            match nodes.last_mut().filter(|node| node.id == id) {
                Some(node) => node.parents.extend(parent),
                None => nodes.push(Node {
                    id,
                    time_ms: from_sql(row.get(1)?)?,
                    size: from_sql(row.get(2)?)?,
                    parents: parent.into_iter().collect(),
                }),
            }
            Ok::<(), StoreError>(())
        };
        self.each(sql, [channel.as_ref()], read)?;
        Ok(nodes)
    }

    /// Returns every fork that the store knows, by channel, author and number.
    ///
    /// # Errors
    /// Those of the database.
    pub fn forks(&self) -> Result<Vec<Fork>, StoreError> {
        let sql = "SELECT channel, author, seq FROM capsule GROUP BY channel, author, seq
                   HAVING count(*) > 1 ORDER BY channel, author, seq";
        let mut forks = self.list(sql, [], |row| {
            Ok(Fork {
                channel: ChannelId::of_genesis(CapsuleId::new(digest(row.get(0)?)?)),
                author: IdentityId::new(digest(row.get(1)?)?),
                seq: from_sql(row.get(2)?)?,
                sides: Vec::new(),
            })
        })?;
        for fork in &mut forks {
            fork.sides = self.rivals(&fork.channel, &fork.author, fork.seq)?;
            fork.sides.sort_unstable();
        }
        Ok(forks)
    }

    /// Returns the capsules of a channel that somebody lacks who has these and all before them.
    ///
    /// Ids that are not held say nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub fn lacked(&self, channel: &ChannelId, have: &[CapsuleId]) -> Result<Vec<Node>, StoreError> {
        let mut nodes = self.nodes(channel)?;
        let parents: BTreeMap<CapsuleId, &[CapsuleId]> =
            nodes.iter().map(|node| (node.id, node.parents.as_slice())).collect();
        let mut seen: BTreeSet<CapsuleId> = BTreeSet::new();
        let mut next: Vec<CapsuleId> = have.to_vec();
        while let Some(id) = next.pop() {
            if let Some(parents) = parents.get(&id)
                && seen.insert(id)
            {
                next.extend_from_slice(parents);
            }
        }
        nodes.retain(|node| !seen.contains(&node.id));
        Ok(nodes)
    }
}
