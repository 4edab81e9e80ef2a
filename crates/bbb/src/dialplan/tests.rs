//! Tests of dialplans: what is written, and that no text from outside leaves its place.

use proptest::prelude::*;
use roxmltree::Document;

use super::*;

const LENGTH: PinLength = PinLength { min: 5, max: 9 };
const BOTH: [Dialect; 2] = [Dialect::FreeSwitch, Dialect::Original];

/// Expression, and application and data of each action.
fn read(xml: &str) -> (String, Vec<(String, String)>) {
    let document = Document::parse(xml).unwrap();
    let find = |name: &str| document.descendants().find(|node| node.has_tag_name(name)).unwrap();
    let path = ["document", "section", "context", "extension", "condition"].map(find);
    for pair in path.windows(2) {
        assert_eq!(pair[1].parent_element(), Some(pair[0]));
        assert_eq!(pair[0].children().filter(roxmltree::Node::is_element).count(), 1, "{xml}");
    }
    let actions = path[4].children().filter(roxmltree::Node::is_element).map(|node| {
        assert!(node.has_tag_name("action") && node.attributes().len() <= 2, "{xml}");
        let attribute = |name| node.attribute(name).unwrap_or_default().to_owned();
        (attribute("application"), attribute("data"))
    });
    (path[4].attribute("expression").unwrap().to_owned(), actions.collect())
}

fn bridge(text: &str, dialect: Dialect) -> Dialplan {
    Dialplan::Bridge {
        number: DialledNumber::new(text, dialect),
        meeting_id: ChannelText::new(text, dialect),
        caller_name: ChannelText::new(text, dialect),
        pin: Pin::parse("71234").unwrap(),
        host: SipHost::parse("bbb1.example.org").unwrap(),
    }
}

#[test]
fn a_call_is_answered_and_asked_for_its_pin() {
    let number = DialledNumber::new("+4930 5", Dialect::FreeSwitch);
    let plan = Dialplan::AskForPin { number, length: LENGTH, max_seconds: Some(1800) };
    let (expression, actions) = read(&plan.to_xml(Dialect::FreeSwitch));
    assert_eq!(expression, r"^\+4930.5$");
    let names: Vec<_> = actions.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["answer", "sched_hangup", "sleep", "playback", "sleep"];
    assert_eq!(names[..5], expected);
    assert_eq!(names[5..], ["play_and_get_digits", "transfer"]);
    assert_eq!(actions[1].1, "+1800 normal_clearing");
    assert!(actions[5].1.ends_with(r" pin \d+"), "{actions:?}");
    assert_eq!(actions[6].1, "${pin} XML public");
    assert!(read(&plan.to_xml(Dialect::Original)).1[5].1.ends_with(" pin d+"));
}

#[test]
fn the_originals_words_are_kept_for_others_than_freeswitch() {
    let name = ChannelText::new("a\nb\u{1}", Dialect::Original);
    assert_eq!(name.as_str(), "a\nb");
    let hostile = r#"a\b ${x} $${y} $ "<'>&"#;
    let (expression, actions) = read(&bridge(hostile, Dialect::Original).to_xml(Dialect::Original));
    let escaped = r#"a\\b \${x} $\${y} $ "<'>&"#;
    assert_eq!(actions[1], ("set".to_owned(), format!("effective_caller_id_name={escaped}")));
    assert_eq!(expression, r#"^a\\b\ \$\{x\}\ \$\$\{y\}\ \$\ "<'>&$"#);
    assert_eq!(actions[2].1, "sofia/external/71234@bbb1.example.org");
}

#[test]
fn freeswitch_is_known_by_its_user_agent() {
    for (user_agent, expected) in [
        ("freeswitch-xml/1.0", Dialect::FreeSwitch),
        ("FreeSWITCH", Dialect::FreeSwitch),
        ("", Dialect::Original),
        ("curl/8.5.0", Dialect::Original),
        ("freeswitcé", Dialect::Original),
    ] {
        assert_eq!(Dialect::for_user_agent(user_agent), expected, "{user_agent}");
    }
}

#[test]
fn pins_are_digits_and_hosts_are_hosts() {
    for text in ["", "1a", "１", "1 ", "-1", "1@evil", &"1".repeat(33)] {
        assert_eq!(Pin::parse(text), None, "{text}");
    }
    for text in ["", "a b", "a@b", "a/b", "a,b", "[::1", "${x}", "a;b"] {
        assert_eq!(SipHost::parse(text), None, "{text}");
    }
    assert_eq!(SipHost::parse("::1").unwrap().as_str(), "[::1]");
}

#[test]
fn nothing_is_found_for_other_sections() {
    let text = build_not_found();
    let document = Document::parse(&text).unwrap();
    let result = document.descendants().find(|node| node.has_tag_name("result")).unwrap();
    assert_eq!(result.attribute("status"), Some("not found"));
    assert_eq!(result.parent_element().unwrap().attribute("name"), Some("result"));
}

/// The text that FreeSWITCH makes of `\` in data, as its `switch_channel_expand_variables` does; `None` if it would expand a variable.
fn expand(text: &str) -> Option<String> {
    let mut expanded = String::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, characters.peek()) {
            ('\\', Some('$')) => {
                expanded.extend(characters.next());
            }
            ('\\', Some('\\')) => {
                characters.next();
                expanded.push('\\');
            }
            ('\\', Some('\'')) => {
                characters.next();
            }
            ('$', Some('{')) => return None,
            _ => expanded.push(c),
        }
    }
    Some(expanded)
}

/// Texts with many characters that mean something to FreeSWITCH, XML or patterns.
fn hostile_text() -> impl Strategy<Value = String> {
    let syntax = r#"[$${}\\'"<>&,;^()\[\]|a-c0-2 \n\t\r\x00]{0,24}"#;
    prop_oneof![syntax, "\\PC{0,24}", any::<String>()]
}

proptest! {
    #[test]
    fn no_text_leaves_its_place(text in hostile_text()) {
        for dialect in BOTH {
            let (_, actions) = read(&bridge(&text, dialect).to_xml(dialect));
            let names: Vec<_> = actions.iter().map(|(name, _)| name.as_str()).collect();
            prop_assert_eq!(names, ["set", "set", "bridge"]);
            prop_assert!(actions[0].1.starts_with("meeting_id="));
            prop_assert!(actions[1].1.starts_with("effective_caller_id_name="));
            prop_assert_eq!(&actions[2].1, "sofia/external/71234@bbb1.example.org");
        }
    }

    #[test]
    fn freeswitch_expands_nothing_however_often_it_tries(text in hostile_text()) {
        let (expression, actions) = read(&bridge(&text, Dialect::FreeSwitch).to_xml(Dialect::FreeSwitch));
        for (_, data) in &actions {
            prop_assert!(!data.contains(['$', '{', '\\', '\'', '"', '\n', ',']), "{}", data);
        }
        prop_assert!(expand(&expression).is_some(), "{}", expression);
    }

    #[test]
    fn the_originals_escapes_hold_once(text in hostile_text()) {
        let escaped = ChannelText::new(&text, Dialect::Original);
        prop_assert!(expand(escaped.as_str()).is_some(), "{}", escaped.as_str());
    }

    #[test]
    fn a_number_is_matched_by_its_pattern(number in "[0-9+*#a-z_@ $(){}.-]{1,20}", other in "[0-9+]{1,20}") {
        for dialect in BOTH {
            let pattern = DialledNumber::new(&number, dialect);
            // Each character is one literal, one escaped literal, or a dot.
            prop_assert!(matches(pattern.expression(), &number), "{:?}", pattern);
            if number.chars().all(|c| c.is_ascii_digit() || c == '+') && other != number {
                prop_assert!(!matches(pattern.expression(), &other), "{:?} {}", pattern, other);
            }
        }
    }
}

/// Matches a pattern of literals, escaped literals and dots.
fn matches(pattern: &str, text: &str) -> bool {
    let inner = pattern.strip_prefix('^').unwrap().strip_suffix('$').unwrap();
    let mut characters = inner.chars();
    let mut text = text.chars();
    while let Some(c) = characters.next() {
        let expected = if c == '\\' { characters.next() } else { Some(c) };
        let found = text.next();
        if c != '.' && found != expected || found.is_none() {
            return false;
        }
    }
    text.next().is_none()
}
