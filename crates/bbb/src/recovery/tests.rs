//! Tests of lists of meetings that are not well-formed, by examples and with mutations of a valid
//! list, against a second reader of XML.

use proptest::prelude::*;

use crate::meetings::MeetingList;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<response><returncode>SUCCESS</returncode>\n<meetings>";
const END: &str = "</meetings>\n</response>";

/// A meeting as BBB lists it, with this custom data of an attendee.
fn meeting(id: &str, users: u32, custom_data: &str) -> String {
    format!(
        "<meeting><meetingName>Name of {id}</meetingName><meetingID>{id}</meetingID>\
         <internalMeetingID>i-{id}</internalMeetingID><createTime>1700000000123</createTime>\
         <voiceBridge>12345</voiceBridge><running>true</running>\
         <participantCount>{users}</participantCount><videoCount>1</videoCount><attendees><attendee>\
         <userID>u</userID><fullName>F &amp; G</fullName><customdata>{custom_data}</customdata>\
         </attendee></attendees><metadata><origin>moodle</origin></metadata>\
         <isBreakout>false</isBreakout></meeting>"
    )
}

fn list_of(meetings: &[String]) -> String {
    format!("{HEAD}{}{END}", meetings.concat())
}

fn read(text: &str) -> MeetingList {
    MeetingList::read(text.as_bytes()).unwrap()
}

/// The ids that were read, those that were recognised, and whether there may be others.
fn ids(list: &MeetingList) -> (Vec<&str>, Vec<&str>, bool) {
    let read = list.meetings.iter().map(|meeting| meeting.id.as_str()).collect();
    let unreadable = list.unreadable.ids.iter().map(String::as_str).collect();
    (read, unreadable, list.unreadable.has_unknown)
}

/// The meetings of a list as they are passed on, which a second reader must accept.
fn passed_on(list: &MeetingList) -> Vec<String> {
    let elements = list.meetings.iter().filter_map(|meeting| list.well_formed_element(meeting));
    let elements: Vec<String> = elements.map(std::borrow::Cow::into_owned).collect();
    for element in &elements {
        let parsed = roxmltree::Document::parse(element).unwrap();
        assert!(parsed.root_element().has_tag_name("meeting"));
    }
    elements
}

#[test]
fn broken_parts_of_attendees_cost_only_themselves() {
    for broken in [
        "<my key>v</my key>",
        "<my key>v</my>",
        "<my key>v",
        "<1st>v</1st>",
        "<1st/>",
        "<a&b>v</a&b>",
        "<p:a>v</p:a>",
        "<>v</>",
        "<k/ey>v</k/ey>",
        "<my key>a < b & c</my key>",
        "<my key><![CDATA[v]]></my key>",
        "<my key>\u{1}</my key>",
    ] {
        let good = meeting("good", 3, "");
        let odd = meeting("odd", 12, &format!("<fine>1</fine>{broken}"));
        let text = list_of(&[odd.clone(), good.clone()]);
        let list = read(&text);
        assert_eq!(ids(&list), (vec!["odd", "good"], vec![], false), "{broken}");
        let [odd_one, good_one] = &list.meetings[..] else { panic!("two meetings") };
        assert_eq!((odd_one.participants, good_one.participants), (Some(12), Some(3)));
        assert_eq!(
            (odd_one.create_time_ms, odd_one.meta("origin")),
            (1_700_000_000_123, Some("moodle"))
        );
        assert_eq!(passed_on(&list), [meeting("odd", 12, "<fine>1</fine>"), good], "{broken}");
    }
}

#[test]
fn unreadable_meetings_are_skipped_and_recognised_by_their_ids() {
    let [a, b, c] = ["a", "b &amp; b", "c"].map(|id| meeting(id, 1, ""));
    for (from, to) in [
        ("<participantCount>1</participantCount>", "<participantCount>1"),
        ("<participantCount>1</participantCount>", "1</participantCount>"),
        ("<metadata>", ""),
        ("</meeting>", ""),
        ("<meeting>", "<meet ing>"),
        ("<meeting>", "<meetXng>"),
        ("<meeting>", ""),
        ("</meetingName>", "</meetingNamX>"),
        ("<attendees>", "<![CDATA["),
        ("<attendees>", "<!--"),
        ("<isBreakout>", "<isBreakout"),
    ] {
        let broken = b.replace(from, to);
        let list = read(&list_of(&[a.clone(), broken.clone(), c.clone()]));
        assert_eq!(ids(&list), (vec!["a", "c"], vec!["b & b"], false), "{from} {to}");
        assert_eq!(passed_on(&list), [a.clone(), c.clone()]);
        let list = read(&list_of(&[a.clone(), c.clone(), broken.clone()]));
        assert_eq!(ids(&list), (vec!["a", "c"], vec!["b & b"], false), "{from} {to}, last");
        let list = read(&list_of(&[broken, a.clone(), c.clone()]));
        assert_eq!(ids(&list), (vec!["a", "c"], vec!["b & b"], false), "{from} {to}, first");
    }
}

#[test]
fn two_meetings_that_became_one_are_unreadable() {
    let [a, b, c] = ["a", "b", "c"].map(|id| meeting(id, 1, ""));
    let cut = |text: &str, at: &str| {
        text.split_once(at).map(|(start, end)| (start.to_owned(), end.to_owned())).unwrap()
    };
    let (start, _) = cut(&a, "oiceBridge>");
    let (_, end) = cut(&b, "<meeting>");
    let list = read(&list_of(&[format!("{start}{end}"), c.clone()]));
    assert_eq!(ids(&list), (vec!["c"], vec!["a", "b"], false));
    let list = read(&list_of(&[format!("{start}oiceBridge &>{end}"), c]));
    assert_eq!(ids(&list), (vec!["c"], vec!["a", "b"], false));
}

#[test]
fn others_may_be_there_if_an_id_is_not_recognised() {
    let [a, b] = ["a", "b"].map(|id| meeting(id, 1, ""));
    for (from, to) in [
        ("<meetingID>b</meetingID>", ""),
        ("<meetingID>b</meetingID>", "<meetingID></meetingID>"),
        ("<meetingID>b</meetingID>", "<meeting ID>b</meetingID>"),
    ] {
        let broken = b.replace(from, to).replace("<isBreakout>", "");
        let list = read(&list_of(&[broken.clone(), a.clone()]));
        assert_eq!(ids(&list), (vec!["a"], vec![], true), "{to}");
        let list = read(&list_of(&[a.clone(), broken]));
        assert_eq!(ids(&list), (vec!["a"], vec![], true), "{to}");
    }
}

#[test]
fn a_list_that_is_cut_off_is_read_up_to_there() {
    let (a, b) = (meeting("a", 1, ""), meeting("b", 1, ""));
    let text = list_of(&[a.clone(), b.clone()]);
    let end_of_b = HEAD.len() + a.len() + b.len();
    for end in HEAD.len() + a.len()..text.len() {
        let list = read(&text[..end]);
        let (known, unreadable, has_unknown) = ids(&list);
        // The last `>` does not matter.
        assert_eq!(known, if end < end_of_b - 1 { vec!["a"] } else { vec!["a", "b"] });
        assert!(unreadable.is_empty() || unreadable == ["b"]);
        assert_eq!(has_unknown, end < end_of_b + "</meetings>".len(), "{}", &text[..end]);
    }
    let cut = format!("{HEAD}{}", &a[..40]);
    assert!(MeetingList::read(cut.as_bytes()).is_err(), "nothing can be read");
}

#[test]
fn lists_without_meetings_are_empty_whatever_else_is_broken() {
    for list in ["<meetings/>", "<meetings></meetings>", "<meetings>\n</meetings>"] {
        let text = format!(
            "<response><returncode>SUCCESS</returncode>{list}<message>a & b</message></response>"
        );
        assert_eq!(ids(&read(&text)), (vec![], vec![], false));
    }
}

#[test]
fn garbage_is_no_list() {
    let good = meeting("a", 1, "");
    for text in [
        "<html><body>502 Bad Gateway",
        "<response><returncode>SUCCESS</returncode><meetings>",
        "<response><returncode>SUCCESS</returncode>",
        "<response><returncode>FAILED</returncode><meetings/><message>&</message></response>",
        "<response><returncode>SUCC",
        &format!("<response><meetings>{good}&</meetings></response>"),
        &format!("<!DOCTYPE x>{}", list_of(&[good])),
    ] {
        assert!(MeetingList::read(text.as_bytes()).is_err(), "{text}");
    }
    let hostile = format!("{HEAD}{}", "<meeting><![CDATA[".repeat(100_000));
    assert!(MeetingList::read(hostile.as_bytes()).is_err());
    let hostile = format!("{HEAD}{}{END}", "<meeting><meetingID>x</meetingID>".repeat(100_000));
    assert_eq!(read(&hostile).unreadable.ids.len(), 1);
}

/// A valid list, and where its meetings are.
fn sample() -> (String, Vec<std::ops::Range<usize>>) {
    let custom = ["<a>1</a><b><![CDATA[x]]></b>", "<c/>", "", "<d>&lt;</d>"];
    let meetings: Vec<String> =
        custom.iter().enumerate().map(|(n, data)| meeting(&format!("m{n}"), 5, data)).collect();
    let mut ranges = Vec::new();
    let mut start = HEAD.len();
    for meeting in &meetings {
        ranges.push(start..start + meeting.len());
        start += meeting.len();
    }
    (list_of(&meetings), ranges)
}

/// What is put in the place of a part of a list.
fn any_replacement() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::sample::select(vec![
        "",
        "<",
        ">",
        "&",
        "/",
        "</",
        "]]>",
        "<![CDATA[",
        "<!--",
        "-->",
        "<?",
        "?>",
        "<meeting>",
        "</meeting>",
        "<meeting",
        "<meetings>",
        "</meetings>",
        "<my key>",
        "</my key>",
        "</x>",
        "<x>",
        "<meetingID>",
        "</meetingID>",
        "\u{1}",
        "&#0;",
        "\"",
        "'",
        "x=",
        "<!DOCTYPE x>",
        "</response>",
    ]);
    let pieces =
        proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![pieces, proptest::collection::vec(any::<u8>(), 0..4)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_mutation_costs_only_the_meetings_that_it_touches(
        start in any::<proptest::sample::Index>(),
        length in prop_oneof![0usize..3, 0usize..60, 0usize..3000],
        replacement in any_replacement(),
    ) {
        let (text, ranges) = sample();
        let start = HEAD.len() + start.index(text.len() - HEAD.len());
        let end = (start + length).min(text.len());
        let bytes = [&text.as_bytes()[..start], &replacement, &text.as_bytes()[end..]].concat();
        let is_well_formed =
            std::str::from_utf8(&bytes).is_ok_and(|text| roxmltree::Document::parse(text).is_ok());
        let list = MeetingList::read(&bytes).unwrap_or_default();
        passed_on(&list);
        if is_well_formed {
            return Ok(());
        }
        let (known, unreadable, has_unknown) = ids(&list);
        for (n, range) in ranges.iter().enumerate() {
            let id = format!("m{n}");
            let is_known = known.contains(&id.as_str());
            if range.start >= end || range.end <= start {
                prop_assert!(is_known, "{id} of {}", String::from_utf8_lossy(&bytes));
                continue;
            }
            let element = text[range.clone()].find("<meetingID>").unwrap() + range.start;
            let element = element..element + "<meetingID>m0</meetingID>".len();
            if element.start >= end || element.end <= start {
                let is_noticed = is_known || unreadable.contains(&id.as_str()) || has_unknown;
                prop_assert!(is_noticed, "{id} of {}", String::from_utf8_lossy(&bytes));
            }
        }
    }

    #[test]
    fn mutations_anywhere_do_not_panic(
        start in any::<proptest::sample::Index>(),
        length in 0usize..100,
        replacement in any_replacement(),
    ) {
        let (text, _) = sample();
        let start = start.index(text.len());
        let end = (start + length).min(text.len());
        let bytes = [&text.as_bytes()[..start], &replacement, &text.as_bytes()[end..]].concat();
        if let Ok(list) = MeetingList::read(&bytes) {
            passed_on(&list);
        }
    }
}
