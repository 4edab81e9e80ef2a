//! The metadata.xml of a recording.
#![no_main]

use bbb::metadata::Metadata;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(metadata) = Metadata::read(bytes) {
        let _ = metadata.meta("meetingName");
    }
});
