//! The meetings of a server: what is passed on of each is well-formed for a second parser.
#![no_main]

use bbb::meetings::MeetingList;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(list) = MeetingList::read(body) else { return };
    for meeting in &list.meetings {
        let _ = meeting.meta("bbb-origin");
        if let Some(element) = list.well_formed_element(meeting) {
            let parsed = roxmltree::Document::parse(&element);
            assert!(parsed.is_ok(), "{parsed:?} of {element:?}");
        }
    }
});
