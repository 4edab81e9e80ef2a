//! Query strings and their checksums: reading and writing one leaves its bytes, and what is signed is verified.
#![no_main]

use bbb::checksum::{sign_query, sorted_form_text, split_checksum};
use bbb::query::{decode, encode};
use bbb::{Algorithm, Query};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &str| {
    assert_eq!(decode(&encode(raw)), raw);
    let query = Query::parse(raw);
    let text = query.to_text();
    assert_eq!(Query::parse(&text).to_text(), text);
    let _ = sorted_form_text(&query);
    let _ = split_checksum(raw);
    let signed = sign_query("create", &text, "secret", Algorithm::Sha256);
    assert!(split_checksum(&signed).is_ok(), "{signed:?}");
});
