//! Indexing of files in memory is tested on the started program (`tests/recordings/index.rs`); here
//! is what the place of files says.

use super::*;

#[test]
fn the_place_of_the_files_decides_about_publication() {
    let recording = |published: bool| Recording {
        published,
        state: Some(if published { "published" } else { "unpublished" }.to_owned()),
        ..Recording::default()
    };
    for (published, visibility, expected) in [
        (true, Visibility::Published, (true, "published", false)),
        (true, Visibility::Unpublished, (false, "unpublished", true)),
        (false, Visibility::Published, (true, "published", true)),
    ] {
        let mut indexed = recording(published);
        place_decides(&mut indexed, visibility);
        let state = indexed.state.as_deref().unwrap_or_default();
        assert_eq!((indexed.published, state, indexed.publish_updated), expected);
    }
}
