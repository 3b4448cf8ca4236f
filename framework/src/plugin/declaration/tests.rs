use super::*;

#[test]
fn the_fields_fill_the_declaration_without_gaps() {
    let mut next = 0;
    for field in FIELDS {
        assert_eq!(field.start, next, "{}", field.name);
        next += field.size;
    }
    assert_eq!((next, HEAD), (SIZE, 16));
    assert_eq!(offset_of!(Declaration, checksum), HEAD);
    let compared: Vec<&str> = FIELDS.iter().filter(|field| field.compared).map(|field| field.name).collect();
    let mut listed = Identity::own().compared().map(|(name, _)| name).to_vec();
    listed.sort_by_key(|name| compared.iter().position(|field| field == name));
    assert_eq!(listed, compared);
}

#[test]
fn what_is_declared_is_read_back() {
    let bytes = Declaration::new("my-plugin", "1.2.3", "Ada").bytes();
    let identity = Identity::read(&bytes).expect("sound");
    assert_eq!((&identity.name[..], &identity.version[..], &identity.author[..]), ("my-plugin", "1.2.3", "Ada"));
    assert!(identity.mismatches().is_empty(), "{:?}", identity.mismatches());
    assert!(identity.rustc.starts_with("rustc ") && !identity.target.is_empty() && identity.build.len() == 16);
}

#[test]
fn every_changed_byte_is_noticed() {
    let bytes = Declaration::new("my-plugin", "1.2.3", "Ada").bytes();
    for at in 0..SIZE {
        for flip in [1u8, 0x80, 0xFF] {
            let mut changed = bytes;
            changed[at] ^= flip;
            assert!(Identity::read(&changed).is_err(), "byte {at}");
        }
    }
    for length in 0..SIZE {
        assert!(Identity::read(&bytes[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn long_texts_are_cut_between_letters() {
    let bytes = Declaration::new(&"ä".repeat(60), "1", "").bytes();
    assert_eq!(Identity::read(&bytes).expect("sound").name, "ä".repeat(31));
}
