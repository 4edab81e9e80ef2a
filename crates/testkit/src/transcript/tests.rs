//! Tests of the runner: transcripts are read, masked and compared.

use super::compare::sort_items;
use super::differences::TranscriptDifferences;
use super::mask::Mask;
use super::transcript_file::{RakeTask, Transcript, TranscriptStep, parse_steps};

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_transcript_is_read() {
    let text =
        "# Note\n\n@ stop 1\n\n$ rake status\n\nTABLE\n\n$ rake 'a:b[c]'\n(stdin) yes\n(exit 1)\n";
    let task = |name: &str, input: Option<&str>, output: &str| {
        TranscriptStep::Task(RakeTask {
            name: name.to_owned(),
            input: input.map(str::to_owned),
            output: lines(output),
        })
    };
    let expected = vec![
        TranscriptStep::Directive("stop 1".to_owned()),
        task("status", None, "\nTABLE"),
        task("a:b[c]", Some("yes\n"), "(exit 1)"),
    ];
    assert_eq!(parse_steps(text).unwrap(), expected);
    assert!(parse_steps("words\n").is_err());
}

#[test]
fn only_list_items_may_have_another_order() {
    let first =
        "start\n\nServer ID: b\nServer Url: u\nMeetingIDs: \n\troom\n\nServer ID: a\nend\n(exit 1)";
    let second =
        "start\n\nServer ID: a\n\nServer ID: b\nServer Url: u\nMeetingIDs: \n\troom\nend\n(exit 1)";
    assert_eq!(sort_items(&lines(first)), sort_items(&lines(second)));
    assert_ne!(sort_items(&lines("b\na")), sort_items(&lines("a\nb")));
    let swapped =
        "start\n\nServer ID: a\nServer Url: u\nMeetingIDs: \n\troom\n\nServer ID: b\nend\n(exit 1)";
    assert_ne!(sort_items(&lines(first)), sort_items(&lines(swapped)));
    let tenants =
        ["Tenant: b\n  id: 1\n\tparam: x\nTenant: a", "Tenant: a\nTenant: b\n  id: 1\n\tparam: x"];
    assert_eq!(sort_items(&lines(tenants[0])), sort_items(&lines(tenants[1])));
    let yaml = sort_items(&lines("servers:\n  b:\n    tag: y\n  a:\n    tag: x"));
    assert_eq!(yaml, lines("servers:\n  a:\n    tag: x\n  b:\n    tag: y"));
}

#[test]
fn masking_can_be_undone() {
    let mut mask = Mask::default();
    mask.add_server("http://127.0.0.2:81/bigbluebutton/api".to_owned(), "127.0.0.2".to_owned());
    let printed =
        "id: 0b0ed2fe-7ad5-4bb5-8f0a-4a2c7a1a3a10\n\turl: http://127.0.0.2:81/bigbluebutton/api";
    let recorded = "id: <id-1>\n\turl: http://bbb1.example.test/bigbluebutton/api";
    assert_eq!(mask.mask(printed).unwrap(), recorded);
    assert_eq!(mask.unmask(recorded), printed);
    assert_eq!(mask.mask(" 127.0.0.2  x").unwrap(), " bbb1.example.test  x");
}

#[test]
fn differences_excuse_only_what_they_name() {
    let yaml = "differences:\n- {transcript: t, task: status, rule: 7, reason: r, \
                changes: [{recorded: '2.0', ours: '1.0'}]}\n\
                not_yet:\n- {transcript: t, task: later, reason: r}\n";
    let differences = TranscriptDifferences::parse(yaml).unwrap();
    let task = |name: &str, output: &str| RakeTask {
        name: name.to_owned(),
        output: lines(output),
        ..RakeTask::default()
    };
    let applied =
        |name: &str, output: &str, run| differences.expected_output("t", &task(name, output), run);
    assert_eq!(applied("status", "x 2.0", 1).unwrap(), ["x 1.0"]);
    assert_eq!(applied("status", "x 2.0", 2).unwrap(), ["x 2.0"]);
    assert!(applied("status", "x 1.0", 1).is_err());
    let transcript = |names: &[&str]| {
        let steps = names.iter().map(|name| TranscriptStep::Task(task(name, ""))).collect();
        Transcript { name: "t".to_owned(), steps }
    };
    assert!(differences.check_names(&[transcript(&["status", "later"])]).is_ok());
    assert!(differences.check_names(&[transcript(&["status"])]).is_err());
    assert!(differences.check_names(&[transcript(&["poll", "later"])]).is_err());
    assert_eq!(differences.skip_reason("t", Some("later")), Some("r"));
    assert_eq!(
        (differences.skip_reason("t", None), differences.skip_reason("u", Some("later"))),
        (None, None)
    );
}
