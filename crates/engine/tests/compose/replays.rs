//! What a replay believes of a call, and what it finds out.

use super::*;

#[test]
fn a_lie_about_a_call_is_found() {
    let world = World::pair(&echo(), "");
    let at_response = (Some(0), Field::Response);
    // The response is the result, the length, then fuel, class, detail and output.
    assert_eq!(world.check_lie(|t| t.entries[0].response[16 + 5] = 1), at_response);
    assert_eq!(world.check_lie(|t| t.entries[0].response[16 + 8] = 4), at_response);
    assert_eq!(world.check_lie(|t| t.entries[0].response[16 + 12] ^= 1), (Some(1), Field::Request));
    assert_eq!(world.check_lie(|t| t.entries[0].response[0] = 20), at_response);
    assert_eq!(world.check_lie(|t| t.entries[0].response[0] = 15), at_response);
    assert_eq!(world.check_lie(|t| t.entries[0].response.truncate(34)), at_response);
    let cut = |t: &mut Lie| {
        t.entries[0].response.truncate(24);
        t.entries[0].response[8] = 8;
    };
    assert_eq!(world.check_lie(cut), at_response);
    // Less fuel than the callee took is believed, and shows at the next call.
    assert_eq!(world.check_lie(|t| t.entries[0].response[16] ^= 1), (Some(1), Field::Fuel));
}

#[test]
fn an_output_beyond_what_any_callee_may_write_is_a_lie() {
    let mut library = Library::default();
    let id = library.add(&echo(), "", &[]);
    let mut world = World::new(call(id, "", 18), &[id], library);
    world.case.policy.limits.output_bytes = 100;
    let claim = |length: u8| {
        move |t: &mut Lie| {
            t.entries[0].response[0] = 16 + length;
        }
    };
    assert_eq!(world.check_lie(claim(100)), (None, Field::Outcome));
    assert_eq!(world.check_lie(claim(101)), (Some(0), Field::Response));
}

#[test]
fn a_failed_access_runs_nothing_inside_the_run_again() {
    // The memory limit of the outermost run has room for so many.
    const LEVELS: usize = 3;
    let trapping = "(i32.load (i32.const -1))";
    let mut library = Library::default();
    let mut id = library.add(&with_body(&[], trapping), "", &[]);
    // Each calls the next, and then reads outside of its memory.
    let caller = |id| call(id, "", 64).replace("(local.get $n)", trapping);
    for _ in 1..LEVELS {
        id = library.add(&caller(id), "grants = [\"compose\"]", &[id]);
    }
    let world = World::new(caller(id), &[id], library);
    let run = world.run();
    assert_eq!(run.outcome, Outcome::Trapped(Trap::MemoryOutOfBounds));
    let nested = recorded(&run);
    for backend in Backend::ALL {
        world.library.asked.set(0);
        assert_eq!(world.whole_replay(*backend, &run, &nested).difference, None);
        assert_eq!(world.library.asked.take(), LEVELS, "{backend}");
        world.try_run(*backend, &mut host()).expect("a run that traps");
        assert_eq!(world.library.asked.take(), LEVELS, "{backend}");
    }
}

#[test]
fn a_run_inside_a_run_that_leaves_a_key_has_a_storage() {
    let body = "(call $kv_set (i32.const 1024) (i32.const 1) (i32.const 1024) (i32.const 1))";
    let mut library = Library::default();
    let policy = "grants = [\"storage\"]\n[limits]\nstorage = \"1KiB\"";
    let id = library.add(&with_body(&["kv_set"], body), policy, &[]);
    let world = World::new(call(id, "", 64), &[id], library);
    let run = world.try_run(Backend::ALL[0], &mut host()).expect("a run that completes");
    let honest = recorded(&run);
    assert!(honest[0].storage_root.is_some());
    let lie = [Recorded { storage_root: None, ..honest[0].clone() }];
    for backend in Backend::ALL {
        assert_eq!(world.whole_replay(*backend, &run, &honest).difference, None);
        let found = world.whole_replay(*backend, &run, &lie).difference.expect("a lie was told");
        assert_eq!((found.run, found.entry, found.field), (vec![0], None, Field::StorageRoot));
    }
}

/// Calls a package that asks its host for the time, twice.
fn clock() -> World {
    let body =
        "(i64.store (i32.const 0) (call $now)) (call $output_write (i32.const 0) (i32.const 8))";
    let mut library = Library::default();
    let id = library.add(&with_body(&["now", "output_write"], body), "grants = [\"time\"]", &[]);
    World::new(call(id, "", 64), &[id], library)
}

#[test]
fn a_lie_about_a_run_inside_a_run_is_found_with_its_place() {
    let world = clock();
    let run = world.run();
    let entries = &transcript_of(&run.nested[0]).entries;
    let changed = |change: &dyn Fn(usize, &mut Vec<u8>)| {
        let made = entries.iter().enumerate().map(|(seq, entry)| {
            let mut response = entry.response.to_vec();
            change(seq, &mut response);
            (entry, response)
        });
        let made: Vec<_> = made.collect();
        made.iter()
            .map(|(entry, response)| kapsule_format::transcript::Entry { response, ..*entry })
            .collect::<kapsule_format::transcript::Entries>()
    };
    let later = changed(&|seq, response| {
        if seq == 0 {
            response[0] ^= 1
        }
    });
    let short: kapsule_format::transcript::Entries = entries.iter().take(1).collect();
    let long: kapsule_format::transcript::Entries =
        entries.iter().chain(entries.iter().take(1)).collect();
    let honest = recorded(&run);
    let with = |entries| vec![Recorded { entries, ..honest[0].clone() }];
    for (lie, run_path, entry, field) in [
        // Another time is written, so the next call of the callee differs.
        (with(&later), vec![0], Some(1), Field::Request),
        (with(&short), vec![0], Some(1), Field::Count),
        (with(&long), vec![0], Some(2), Field::Count),
        (vec![], vec![], Some(0), Field::Nested),
        (vec![honest[0].clone(), honest[0].clone()], vec![], None, Field::Nested),
    ] {
        for backend in Backend::ALL {
            let found = world.whole_replay(*backend, &run, &lie).difference;
            let found = found.expect("a lie was told");
            assert_eq!((found.run, found.entry, found.field), (run_path.clone(), entry, field));
        }
    }
}
