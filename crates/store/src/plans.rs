//! Statements of which SQLite could make a walk through every capsule.

use rusqlite::Connection;

use crate::capsules::CHANNELS;
use crate::prune::PRUNED_IN;
use crate::schema;

/// Whoever looks at a feed asks these, in a store of any size.
#[test]
fn a_look_at_the_store_goes_through_no_other_capsules() {
    let connection = Connection::open_in_memory().unwrap();
    schema::create(&connection).unwrap();
    for (sql, scanned) in [(PRUNED_IN, "SCAN pruned"), (CHANNELS, "SCAN one")] {
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = connection.prepare(&explain).unwrap();
        let values = vec![[0_u8; 32]; statement.parameter_count()];
        let values = rusqlite::params_from_iter(values);
        let steps = statement.query_map(values, |row| row.get("detail")).unwrap();
        let steps: Vec<String> = steps.collect::<Result<_, _>>().unwrap();
        let found = |start: &str| steps.iter().any(|step| step.starts_with(start));
        assert!(found(scanned) && found("SEARCH capsule"), "{steps:?}");
        assert!(!found("SCAN capsule"), "{steps:?}");
    }
}
