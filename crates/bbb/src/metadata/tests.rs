//! Tests of the parser: files as BBB's formats write them, and malformed files.

use proptest::prelude::*;

use super::*;

const ID: &str = "0aa9d7c1f26d0e4a8b1c3d5e7f9a1b2c3d4e5f60-1718000000123";

fn parse(text: &str) -> Metadata {
    Metadata::read(text.as_bytes()).unwrap()
}

#[test]
fn a_complete_presentation_is_read() {
    let text = format!(
        r#"<recording>
  <id>{ID}</id><state>published</state><published>true</published>
  <start_time>1718000000123</start_time><end_time>1718003600123</end_time><participants>7</participants>
  <meeting id="{ID}" externalId="physics-2" name="Light &amp;amp; waves" breakout="false"/>
  <breakoutRooms><breakoutRoom>b1-1718000100000</breakoutRoom><breakoutRoom>b2-1718000100001</breakoutRoom></breakoutRooms>
  <meta><meetingId>physics-2</meetingId><meetingName>Light &amp; waves</meetingName><isBreakout>false</isBreakout>
    <bbb-origin>lab</bbb-origin><empty-one/><note><![CDATA[a<b]]> &#8222;x&quot;</note></meta>
  <playback>
    <format>presentation</format>
    <link>
      https://n1.example/playback/presentation/2.3/{ID}
    </link>
    <processing_time>81234</processing_time><duration>3541000</duration>
    <extensions><preview><images>
      <image width="176" height="136" alt="One">https://n1.example/presentation/{ID}/presentation/p/thumbnails/thumb-1.png</image>
      <image width="176" height="136" alt="">https://n1.example/presentation/{ID}/presentation/p/thumbnails/thumb-2.png</image>
    </images></preview><other><image>no</image></other></extensions>
    <size>73400320</size>
  </playback>
  <raw_size>104857600</raw_size>
</recording>"#
    );
    let metadata = parse(&text);
    assert_eq!(
        (metadata.id.as_str(), metadata.state.as_str(), metadata.published),
        (ID, "published", Some(true))
    );
    assert_eq!(metadata.start_time_ms, Some(1_718_000_000_123));
    assert_eq!((metadata.end_time_ms, metadata.participants), (Some(1_718_003_600_123), Some(7)));
    assert_eq!(metadata.meeting.name.as_deref(), Some("Light &amp; waves"));
    assert_eq!(metadata.meeting.external_id.as_deref(), Some("physics-2"));
    assert_eq!(metadata.breakout_rooms.len(), 2);
    assert_eq!(metadata.meta("meetingName"), Some("Light & waves"));
    assert_eq!((metadata.meta("empty-one"), metadata.meta("note")), (Some(""), Some("a<b „x\"")));
    assert_eq!(
        metadata.playback.link,
        format!("https://n1.example/playback/presentation/2.3/{ID}")
    );
    assert_eq!(metadata.playback.processing_time_ms, Some(81_234));
    assert_eq!(
        (metadata.playback.duration_ms, metadata.playback.size),
        (Some(3_541_000), Some(73_400_320))
    );
    let [first, second] = &metadata.playback.images[..] else { panic!("two images") };
    assert_eq!(
        (first.width, first.height, first.alt.as_deref()),
        (Some(176), Some(136), Some("One"))
    );
    assert!(second.url.ends_with("thumb-2.png") && second.alt.as_deref() == Some(""));
    assert_eq!(metadata.raw_size, Some(104_857_600));
}

#[test]
fn a_video_has_no_meeting_and_is_available() {
    let metadata = parse(&format!(
        "<?xml version=\"1.0\"?>\n<recording><id>{ID}</id><state>available</state><published>true</published>\
         <start_time>1718000000123</start_time><end_time>1718003600123</end_time><participants>7</participants>\
         <playback><format>video</format><link>https://n1.example/playback/video/{ID}/</link>\
         <duration>3541000</duration><size>210000000</size></playback>\
         <meta><meetingId>physics-2</meetingId><meetingName>Light</meetingName></meta></recording>"
    ));
    assert_eq!(
        (metadata.state.as_str(), metadata.playback.format.as_str()),
        ("available", "video")
    );
    assert_eq!(metadata.meeting, MetadataMeeting::default());
    assert_eq!((metadata.breakout, metadata.raw_size), (None, None));
}

#[test]
fn a_screenshare_of_a_breakout_room_is_read() {
    let metadata = parse(&format!(
        "<recording><id>{ID}</id><state>available</state><published>true</published>\
         <start_time>1718000000123</start_time><end_time>1718003600123</end_time>\
         <meeting id=\"{ID}\" externalId=\"physics-2\" name=\"Light\" breakout=\"true\"/>\
         <breakout parentMeetingId=\"90ab-1717999999000\" sequence=\"2\" freeJoin=\"false\"/>\
         <playback><format>screenshare</format><link>https://n1.example/recording/screenshare/{ID}/</link>\
         <duration>0</duration></playback><meta><isBreakout>true</isBreakout></meta></recording>"
    ));
    assert_eq!((metadata.participants, metadata.meeting.breakout), (None, Some(true)));
    let breakout = metadata.breakout.unwrap();
    assert_eq!(breakout.parent_id, "90ab-1717999999000");
    assert_eq!((breakout.sequence, breakout.free_join), (Some(2), Some(false)));
    assert_eq!((metadata.playback.duration_ms, metadata.playback.size), (Some(0), None));
}

#[test]
fn a_podcast_and_notes_are_read() {
    for (format, file) in [("podcast", "audio.ogg"), ("notes", "notes.pdf")] {
        let metadata = parse(&format!(
            "<recording><id>{ID}</id><state>published</state><published>true</published><start_time/>\
             <end_time></end_time><participants>-1</participants><meeting externalId=\"\" breakout=\"maybe\"/>\
             <playback><format> {format}\n</format><link>https://n1.example/{format}/{ID}/{file}</link>\
             <duration>99999999999999999999</duration></playback></recording>"
        ));
        assert_eq!(metadata.playback.format, format);
        assert_eq!(
            (metadata.start_time_ms, metadata.end_time_ms, metadata.participants),
            (None, None, None)
        );
        assert_eq!(
            (metadata.playback.duration_ms, metadata.meeting),
            (None, MetadataMeeting::default())
        );
    }
}

#[test]
fn the_last_element_of_a_name_is_kept_with_its_nested_text() {
    let metadata = parse("<recording><meta><a>1</a><b>x<c>y</c>z</b><a>2</a></meta></recording>");
    assert_eq!((metadata.meta("a"), metadata.meta("b")), (Some("2"), Some("xyz")));
    assert_eq!(metadata.meta.len(), 2);
}

#[test]
fn files_that_are_not_recordings_are_refused() {
    let deep = format!("<recording>{}{}</recording>", "<a>".repeat(70), "</a>".repeat(70));
    let bomb =
        "<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><recording>&b;</recording>";
    let outside =
        "<!DOCTYPE r [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><recording>&a;</recording>";
    let unknown = "<recording><id>&a;</id></recording>";
    let many = format!(
        "<recording><breakoutRooms>{}</breakoutRooms></recording>",
        "<breakoutRoom>a</breakoutRoom>".repeat(1001)
    );
    let long = format!("<recording>{}</recording>", " ".repeat(MAX_BYTES));
    for text in
        ["", "no xml", "<recording>", "<response/>", &deep, bomb, outside, unknown, &many, &long]
    {
        assert!(Metadata::read(text.as_bytes()).is_err(), "{}", &text[..text.len().min(60)]);
    }
}

proptest! {
    #[test]
    fn metadata_values_are_read_unchanged(value in "[^\u{0}-\u{1f}\u{fffe}\u{ffff}]{0,40}") {
        let escaped = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let metadata = parse(&format!("<recording><meta><k>{escaped}</k></meta></recording>"));
        prop_assert_eq!(metadata.meta("k"), Some(value.as_str()));
    }

    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Metadata::read(&bytes);
        let _ = Metadata::read(&[b"<recording><meta>".as_slice(), &bytes].concat());
    }
}
