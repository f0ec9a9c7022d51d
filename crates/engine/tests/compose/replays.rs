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
