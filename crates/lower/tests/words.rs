//! Words and the hostcalls that they are those of.

use kapsule_lower::isa::{TAG_IN, TAG_OUT};
use kapsule_lower::words::{Calls, Event, Record, of_run};

fn words(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Returns the words of a run that reads three bytes, writes twelve and returns 0.
fn run() -> Vec<Event> {
    let read = (words(&[0, 64, 100]), [words(&[3, 3]), b"Ada".to_vec()].concat());
    let write = ([words(&[64, 12]), b"hello, world".to_vec()].concat(), words(&[0]));
    let record = |hostcall, (request, response): &(Vec<u8>, Vec<u8>)| {
        let (request, response) = (request.clone(), response.clone());
        (hostcall, request, response)
    };
    let records = [record(2, &read), record(3, &write)];
    let records = records.iter().map(|(hostcall, request, response)| Record {
        hostcall: *hostcall,
        status: 0,
        request,
        response,
    });
    of_run(records, Some(0)).unwrap()
}

#[test]
fn hostcalls_are_read_back_from_their_words() {
    let events = run();
    let read = Calls::read(&events, true).unwrap();
    assert_eq!(read.completed, Some(0));
    let [input, output] = &read.calls[..] else { panic!("{read:?}") };
    assert_eq!((input.hostcall.name, input.arg(2), input.result()), ("input_read", 100, 3));
    assert_eq!((input.passed(), input.written()), (&b""[..], &b"Ada"[..]));
    assert_eq!((output.hostcall.name, output.passed()), ("output_write", &b"hello, world"[..]));
    assert_eq!(output.written(), b"");
    assert_eq!(of_run(read.calls.iter().map(|call| call.record()), Some(0)), Some(events.clone()));
    // Without its last word it is the beginning of a run that ended otherwise.
    assert_eq!(Calls::read(&events[..events.len() - 1], false).unwrap().calls, read.calls);
}

#[test]
fn words_that_no_host_gives_are_none() {
    let events = run();
    assert_eq!(Calls::read(&[], true), None);
    assert!(Calls::read(&[], false).unwrap().calls.is_empty());
    for end in 1..events.len() {
        // The number of a hostcall alone may as well be what the entry returned.
        let number = end == 1 || end == 10;
        assert_eq!(Calls::read(&events[..end], true).is_some(), number, "cut at {end}");
    }
    let changed = |change: fn(&mut Vec<Event>)| {
        let mut events = run();
        change(&mut events);
        Calls::read(&events, true)
    };
    // Positions 0 to 8: number, count, three arguments, status, result, written length, bytes.
    assert_eq!(changed(|events| events[0].word = 99), None, "no such hostcall");
    assert_eq!(changed(|events| events[1].word = 2), None, "another count");
    assert_eq!(changed(|events| events[5].word = 8), None, "no such status");
    assert_eq!(changed(|events| events[7].word = u64::MAX), None, "more than there is");
    assert_eq!(changed(|events| events[8].word |= 1 << 40), None, "padding that is not zero");
    assert_eq!(changed(|events| events[2].tag = TAG_IN), None, "an argument from the host");
    assert_eq!(changed(|events| events[6].tag = TAG_OUT), None, "a result from the guest");
    assert_eq!(changed(|events| events.push(Event { tag: TAG_OUT, word: 0 })), None, "two results");
    assert_eq!(changed(|events| events.last_mut().unwrap().word = 1 << 32), None, "no i32");
}
