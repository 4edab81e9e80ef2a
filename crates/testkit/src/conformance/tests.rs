//! Tests of the runner with the recorded data and without a binary.

use super::data::ExpectedDifference;
use super::http::ClientResponse;
use super::normalizer::{Normalizer, digest};
use super::*;
use bbb_sim::RecordedRequest;

fn normalizer() -> Normalizer {
    let mut normalizer = Normalizer {
        case_words: "meetingID\nM1\nvoiceBridge\n71234\n".to_owned(),
        pool: "127.0.0.1:41234".to_owned(),
        ..Normalizer::default()
    };
    normalizer.set_variable("server1", "0c5cc2d7-8d0c-4d36-a1c4-8b1c5de2b9f1".to_owned());
    normalizer.set_variable("short", "abc".to_owned());
    normalizer
}

fn response(headers: &[(&str, &str)], body: &str) -> ClientResponse {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ClientResponse { status: 200, headers: headers.collect(), body: body.into() }
}

fn normalized_lines(normalizer: &Normalizer, response: &ClientResponse) -> Vec<String> {
    YamlNode::Map(normalizer.normalize_response(response, true)).lines()
}

fn request(call: &str, query: &str, secret: &str) -> RecordedRequest {
    let checksum = digest("sha512", format!("{call}{query}{secret}").as_bytes()).unwrap();
    RecordedRequest {
        server: 2,
        call: call.to_owned(),
        method: "GET".to_owned(),
        path: format!("/s2/bigbluebutton/api/{call}"),
        query: format!("{query}&checksum={checksum}"),
        headers: Vec::new(),
        body: Vec::new(),
    }
}

#[test]
fn the_recorded_data_loads_and_every_difference_differs() {
    let options = ConformanceOptions::new("unused");
    let cases = data::load_cases(&options.data).unwrap();
    let profiles = SettingProfiles::load(&options.data).unwrap();
    for case in &cases {
        profiles.settings(&case.profile).unwrap();
        assert!(!case.recorded.items().is_empty(), "{}", case.name);
        if let Some(difference) = &case.difference {
            assert_ne!(difference.expect, case.recorded, "{}", case.name);
            assert_eq!(difference.expect.items().len(), case.recorded.items().len());
            assert!((1..=28).contains(&difference.rule), "{}", case.name);
            assert!(case.skip_reason.is_none(), "{}", case.name);
        }
    }
    assert!(cases.iter().filter(|case| case.skip_reason.is_none()).count() > 100);
}

#[test]
fn times_ids_and_passwords_are_masked_and_other_numbers_are_not() {
    let now_s = crate::clock::unix_now_s() as u64;
    let internal = digest("sha1", b"x").unwrap();
    let text = format!(
        "{now_s} {now_s}123 1600000000 x1600000000000 {internal}-{now_s}000 ap000001 mp1234567 \
         0c5cc2d7-8d0c-4d36-a1c4-8b1c5de2b9f1 1c5cc2d7-8d0c-4d36-a1c4-8b1c5de2b9f1 abc \
         Sat Nov 22 12:00:00 UTC 2025 eyJh.b-c.d_e token={} http://127.0.0.1:41234/s1",
        digest("sha256", b"x").unwrap(),
    );
    assert_eq!(
        normalizer().mask(&text),
        "{s} {ms} 1600000000 x1600000000000 {internal} {pw} mp1234567 <<server1>> {uuid} abc \
         {date} {jwt} token={token} http://127.0.0.1:9700/s1"
    );
}

#[test]
fn xml_is_sorted_and_generated_values_are_masked_by_form() {
    let body = "<?xml version=\"1.0\"?>\n<response>\n <meetings>\
        <meeting><meetingID>b</meetingID><voiceBridge>712340</voiceBridge></meeting>\
        <meeting><meetingID>a</meetingID><voiceBridge>71234</voiceBridge>\
        <moderatorPW>Ab3Ab3Ab</moderatorPW><metadata><z>1</z><a>ä &amp; b</a></metadata></meeting>\
        </meetings><message/></response>";
    let got =
        normalized_lines(&normalizer(), &response(&[("content-type", "application/xml")], body));
    let expected = [
        "status: 200",
        "content-type: application/xml",
        "body: |-",
        "  <response>",
        "    <meetings>",
        "      <meeting>",
        "        <meetingID>a",
        "        <voiceBridge>71234",
        "        <moderatorPW>{random8}",
        "        <metadata>",
        "          <a>ä & b",
        "          <z>1",
        "      <meeting>",
        "        <meetingID>b",
        "        <voiceBridge>{voice6}",
        "    <message/>",
    ];
    assert_eq!(got, expected);
}

#[test]
fn json_is_sorted_and_invalid_bodies_are_marked() {
    let json = response(&[("content-type", "application/json")], r#"{"b":8.0,"a":[],"c":"ü"}"#);
    let body = normalizer().normalize_response(&json, true).pop().unwrap();
    assert_eq!(
        body,
        ("body".to_owned(), YamlNode::from_text("{\n \"a\": [],\n \"b\": 8.0,\n \"c\": \"ü\"\n}"))
    );
    let broken = response(&[("content-type", "text/xml"), ("date", "now")], "<a>");
    let shown = normalized_lines(&normalizer(), &broken);
    assert_eq!(shown, ["status: 200", "content-type: text/xml", "body: UNPARSABLE <a>"]);
    assert_eq!(normalizer().normalize_response(&broken, false).len(), 2);
}

#[test]
fn redirects_to_simulated_servers_are_split() {
    let query = "meetingID=M1&fullName=A+b%C3%A9&x";
    let checksum = digest("sha1", format!("join{query}secret3").as_bytes()).unwrap();
    let url =
        format!("http://127.0.0.1:41234/s3/bigbluebutton/api/join?checksum={checksum}&{query}");
    let location = |url: &str| {
        normalized_lines(&normalizer(), &response(&[("location", url)], ""))[1..].to_vec()
    };
    let shown = location(&url);
    let expected = [
        "location:",
        "  server: 3",
        "  action: join",
        "  params:",
        "  - fullName=A bé",
        "  - meetingID=M1",
        "  - x=",
        "  checksum: sha1 ok",
        "body: \"\"",
    ];
    assert_eq!(shown, expected);
    assert_eq!(location(&(url + "&y=1"))[8], "  checksum: sha1 WRONG");
    assert_eq!(location("https://bbb1.example.test/x")[0], "location: https://bbb1.example.test/x");
}

#[test]
fn received_requests_are_sorted_by_server_call_and_parameters() {
    let mut post = request("create", "meetingID=M2&voiceBridge=123456789", "secret2");
    post.method = "POST".to_owned();
    post.headers.push(("content-type".to_owned(), "application/xml".to_owned()));
    post.body = b"<x/>".to_vec();
    let index = RecordedRequest { call: String::new(), query: String::new(), ..post.clone() };
    let index = RecordedRequest { server: 1, method: "GET".to_owned(), body: Vec::new(), ..index };
    let log = [post, request("create", "meetingID=M1", "other"), index];
    let expected = [
        "- server: 1",
        "  call: GET index",
        "  params: []",
        "  checksum: none",
        "- server: 2",
        "  call: GET create",
        "  params:",
        "  - meetingID=M1",
        "  checksum: sha512 WRONG",
        "- server: 2",
        "  call: POST create",
        "  params:",
        "  - meetingID=M2",
        "  - voiceBridge={voice9}",
        "  checksum: sha512 ok",
        "  type: application/xml",
        "  body: <x/>",
    ];
    assert_eq!(YamlNode::List(normalizer().normalize_requests(&log)).lines(), expected);
}

fn case(difference: Option<ExpectedDifference>) -> ConformanceCase {
    ConformanceCase {
        name: "area/name".to_owned(),
        profile: "default".to_owned(),
        spec: YamlNode::Null,
        recorded: YamlNode::parse("[{status: 200, body: a}]").unwrap(),
        difference,
        skip_reason: None,
    }
}

#[test]
fn a_difference_that_is_not_needed_is_a_failure() {
    let other = YamlNode::parse("[{status: 400, body: a}]").unwrap();
    let recorded = case(None).recorded;
    let without = describe_difference(&case(None), &other).unwrap();
    assert_eq!(without, "  -- status: 200\n  +- status: 400\n     body: a\n");
    assert_eq!(describe_difference(&case(None), &recorded), None);
    let excused = case(Some(ExpectedDifference { rule: 12, expect: other.clone() }));
    assert_eq!(describe_difference(&excused, &other), None);
    let stale = describe_difference(&excused, &recorded).unwrap();
    assert!(stale.contains("difference no longer needed (rule 12)"), "{stale}");
}

#[test]
fn the_order_of_headers_counts() {
    let turned = YamlNode::parse("[{body: a, status: 200}]").unwrap();
    assert!(describe_difference(&case(None), &turned).is_some());
}

#[test]
fn many_cases_of_a_profile_are_divided_evenly() {
    let mut cases: Vec<ConformanceCase> = (0..100).map(|_| case(None)).collect();
    cases[7].profile = "other".to_owned();
    cases[8].skip_reason = Some("later".to_owned());
    let sizes =
        split_cases(&cases.iter().collect::<Vec<_>>()).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes, [49, 49, 1]);
}

#[test]
fn plain_words_are_no_booleans() {
    let node =
        YamlNode::parse("{a: y, b: off, c: true, d: 2.7.12, e: 0.5, f: ~, g: '1', <<x>>: <y/>}")
            .unwrap();
    let shown = node.lines();
    let expected =
        ["a: y", "b: off", "c: True", "d: 2.7.12", "e: 0.5", "f: null", "g: \"1\"", "<<x>>: <y/>"];
    assert_eq!(shown, expected);
}
