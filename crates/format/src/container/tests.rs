use super::*;

fn sample() -> Vec<u8> {
    let mut writer = Writer::new(Kind::Capsule, b"a".to_vec());
    writer.push("logic.mod", "");
    writer.push("payload.age", [b'c'; 513]);
    writer.push("sig/x", "bb");
    writer.finish().unwrap()
}

#[test]
fn the_fixed_example_has_its_fixed_digest() {
    let file = sample();
    let expect = "42b8bb9e52326d1d7736aa4fb5ee2d007bf465b74ac04e1506cf17b0df04fcb1";
    assert_eq!((file.len(), sha256(&file).to_string().as_str()), (5_120, expect));
    let container = Container::decode(&file).unwrap();
    let names: Vec<&str> = container.entries().iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["meta.cbor", "sig/x", "payload.age", "logic.mod"]);
    assert_eq!((container.kind(), container.index()), (Kind::Capsule, b"a".as_slice()));
    assert_eq!(container.get("payload.age"), Some([b'c'; 513].as_slice()));
    assert!(is_kind(&file, Kind::Capsule) && !is_kind(&file, Kind::Receipt));
}

#[test]
fn every_flipped_byte_of_a_header_or_padding_is_refused() {
    let file = sample();
    let container = Container::decode(&file).unwrap();
    for index in 0..file.len() {
        let mut flipped = file.clone();
        flipped[index] ^= 1;
        // A flipped byte of content is another content, and a name may change into another one.
        if let Ok(found) = Container::decode(&flipped) {
            assert_ne!(found, container, "byte {index} means nothing");
        }
    }
}

#[test]
fn limits_hold_for_the_writer_and_the_reader() {
    let index = vec![0; limits::INDEX_BYTES_MAX];
    let file = Writer::new(Kind::Receipt, index.clone()).finish().unwrap();
    assert!(Container::decode(&file).is_ok());
    let error = Writer::new(Kind::Receipt, [index, vec![0]].concat()).finish().unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded);
    let mut writer = Writer::new(Kind::Receipt, vec![0]);
    for index in 1..limits::CONTAINER_ENTRIES_MAX {
        writer.push(format!("x/{index}"), "");
    }
    assert!(writer.clone().finish().is_ok());
    writer.push("y", "");
    assert_eq!(writer.finish().unwrap_err().code, ErrorCode::LimitExceeded);
}

#[test]
fn a_name_that_continues_another_is_refused() {
    let finish = |names: [&str; 2]| {
        let mut writer = Writer::new(Kind::Receipt, vec![0]);
        names.into_iter().for_each(|name| writer.push(name, ""));
        writer.finish().map_err(|error| error.code)
    };
    assert_eq!(finish(["x/a", "x/a/b"]), Err(ErrorCode::ContainerOrder));
    assert_eq!(finish(["x/a", "x/a"]), Err(ErrorCode::ContainerOrder));
    assert_eq!(finish(["x/a", "meta.cbor"]), Err(ErrorCode::ContainerOrder));
    assert_eq!(finish(["x/a", ".."]), Err(ErrorCode::ContainerName));
    assert!(finish(["x/a", "x/ab"]).is_ok());
}
