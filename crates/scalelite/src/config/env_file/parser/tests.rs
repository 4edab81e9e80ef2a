//! Tests of the parser: examples of what people write, and random files compared with what docker and systemd read.

use proptest::prelude::*;

use super::*;

fn pairs(text: &str) -> Vec<(String, String)> {
    let parsed = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text:?}"));
    parsed.assignments.into_iter().map(|one| (one.name, one.value)).collect()
}

fn value(text: &str) -> String {
    match pairs(text).as_slice() {
        [(_, value)] => value.clone(),
        other => panic!("{text:?}: {other:?}"),
    }
}

#[test]
fn values_are_read_as_docker_and_systemd_read_them() {
    for (text, expected) in [
        ("A=b", "b"),
        ("A=", ""),
        ("A=\n", ""),
        ("A=''", ""),
        ("A=b c & d ? e # f $g", "b c & d ? e # f $g"),
        ("A=redis://:p%40ss@h:6379/0?x=1&y=2#z", "redis://:p%40ss@h:6379/0?x=1&y=2#z"),
        ("A=x=y,z=w", "x=y,z=w"),
        ("A=\"b c\"", "b c"),
        ("A='b c'", "b c"),
        ("A='it''s'", "its"),
        ("A=\"a\"b", "ab"),
        ("A=say \"hi\" 'you'", "say \"hi\" 'you'"),
        ("A=\"\\\"\\\\\\$\\`\\n\"", "\"\\$`\\n"),
        ("A='\\n\\'", "\\n\\"),
        ("A=b\\\nc", "bc"),
        ("A=b\\\r\nc", "bc"),
        ("A=\"b\nc\"", "b\nc"),
        ("A='b\r\nc'", "b\nc"),
        ("A= b ", "b"),
        ("  A\t=\tb\t", "b"),
        ("A=b\\ ", "b "),
        ("A=b\r\n", "b"),
        ("\u{feff}A=b\r\n", "b"),
        ("export A=b", "b"),
        ("export\tA='b'", "b"),
        ("A=ü€😀", "ü€😀"),
        ("# A=1\n; A=2\n   # A=3\\\nA=b", "b"),
    ] {
        assert_eq!(value(text), expected, "{text:?}");
    }
}

#[test]
fn lines_without_a_variable_are_named() {
    let parsed = parse(b"A\n=b\nB C=d\n1X=2\n#\n\nX=1\nX=2\nexported=1\nA.b-c=3\n").unwrap();
    let names: Vec<_> =
        parsed.assignments.iter().map(|one| (one.name.as_str(), one.line)).collect();
    assert_eq!(names, [("X", 7), ("X", 8), ("exported", 9), ("A.b-c", 10)]);
    let lines: Vec<_> = parsed.notes.iter().map(|note| note.line).collect();
    assert_eq!(lines, [1, 2, 3, 4]);
    assert_eq!(parsed.notes[0].text, "`A` has no `=` and is ignored");
}

#[test]
fn values_that_others_read_differently_are_named() {
    for (text, note) in [
        ("A=b # c", "what follows ` #` is part of the value, not a comment"),
        ("A=x${B}", "`${…}` is part of the value: nothing is replaced"),
        (
            "A=b\\c\\d",
            "a backslash is removed, docker would keep it: put the value into single quotes",
        ),
    ] {
        let parsed = parse(text.as_bytes()).unwrap();
        let texts: Vec<_> = parsed.notes.iter().map(|note| note.text.as_str()).collect();
        assert_eq!(texts, [note]);
        assert_eq!(parsed.notes[0].name.as_deref(), Some("A"));
    }
}

#[test]
fn unusable_files_are_refused_with_the_line_and_without_the_value() {
    let long = format!("A=1\nLONG={}\n", "x".repeat(1 << 20));
    for (bytes, message) in [
        (
            b"A=1\nB=\"hidden\nC=2\n".to_vec(),
            "line 2: B: the quote that begins there is not closed",
        ),
        (b"A='hidden".to_vec(), "line 1: A: the quote that begins there is not closed"),
        (b"\r\nA=\xffhidden".to_vec(), "line 2: A: the value is not UTF-8"),
        (b"A=hid\0den".to_vec(), "line 1: A: the value has a NUL byte"),
        (b"\x7fELF\0\0".to_vec(), "line 1: there is a NUL byte: this is no environment file"),
        (b"\xff\xfeA\0=\0".to_vec(), "the file is in UTF-16: save it as UTF-8"),
        (
            long.into_bytes(),
            "line 2: LONG: the value has 1048576 bytes, a variable can have at most 131072",
        ),
    ] {
        assert_eq!(parse(&bytes).err().as_deref(), Some(message));
    }
    // In comments and broken lines the encoding does not matter.
    assert_eq!(parse(b"# gr\xfc\xdfe\nA=b\n").unwrap().assignments.len(), 1);
}

/// A value as somebody quotes it for systemd.
fn quoted(value: &str, style: u8) -> String {
    let escaped =
        value.chars().map(|c| if "\"\\`$".contains(c) { format!("\\{c}") } else { c.into() });
    match style {
        0 if !value.contains('\'') => format!("'{value}'"),
        1 if !value.contains('\n') => value.chars().map(|c| format!("\\{c}")).collect(),
        _ => format!("\"{}\"", escaped.collect::<String>()),
    }
}

/// What `docker run --env-file` reads: everything behind the first `=`, as it is.
fn read_like_docker(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_text_of_its_own_signs_makes_it_panic(text in "[A-C=\"'\\\\#;$ \t\r\n\u{feff}é-]{0,60}") {
        if let Ok(parsed) = parse(text.as_bytes()) {
            for one in parsed.assignments {
                prop_assert!(is_name(&one.name) && one.line <= text.len() + 1);
            }
        }
    }

    #[test]
    fn quoted_values_are_read_as_they_were(
        values in proptest::collection::vec(("[A-Z_][A-Z0-9_]{0,8}", "[ -~é\n]{0,20}", 0..3_u8), 0..5),
        windows in any::<bool>(),
    ) {
        let line = |(name, value, style): &(String, String, u8)| format!("{name}={}\n", quoted(value, *style));
        let text: String = values.iter().map(line).collect();
        let text = if windows { text.replace('\n', "\r\n") } else { text };
        let expected: Vec<_> = values.into_iter().map(|(name, value, _)| (name, value)).collect();
        prop_assert_eq!(pairs(&text), expected);
    }

    #[test]
    fn plain_values_are_read_as_docker_reads_them(
        lines in proptest::collection::vec("(#[ -~]{0,8}|[A-Z_][A-Z0-9_]{0,8}=([!#-&(-\\[\\]-~]([ -\\[\\]-~]{0,12}[!-\\[\\]-~])?)?|)", 0..6),
        windows in any::<bool>(),
    ) {
        let end = if windows { "\r\n" } else { "\n" };
        let text = lines.join(end);
        prop_assert_eq!(pairs(&text), read_like_docker(&text));
    }
}
