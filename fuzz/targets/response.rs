//! Responses of BBB servers: what is taken for well-formed, or made well-formed, is so for a second parser.
#![no_main]

use bbb::Response;
use bbb::response::{is_well_formed, parse_bbb_version, parse_text_elements};
use libfuzzer_sys::fuzz_target;

fn parse(text: &str) {
    let parsed = roxmltree::Document::parse(text);
    assert!(parsed.is_ok(), "{parsed:?} of {text:?}");
}

fuzz_target!(|body: &[u8]| {
    let _ = parse_bbb_version(body);
    let _ = parse_text_elements(body);
    if is_well_formed(body) {
        parse(std::str::from_utf8(body).expect("well-formed text is UTF-8"));
    }
    match Response::read_and_repair(body) {
        Ok((_, Some(repaired))) => {
            parse(&repaired);
            assert!(is_well_formed(repaired.as_bytes()), "repaired twice: {repaired:?}");
        }
        Ok((_, None)) => parse(std::str::from_utf8(body).expect("an unchanged response is UTF-8")),
        Err(_) => {}
    }
});
