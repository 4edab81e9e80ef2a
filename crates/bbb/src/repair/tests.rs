//! Tests of repairs, by examples and against a second reader of XML.

use proptest::prelude::*;

use super::*;

fn repaired(text: &str) -> String {
    repair_element(text).map(|element| element.text.into_owned()).unwrap_or_default()
}

/// The repaired content of the root of a response.
fn repaired_content(content: &str) -> String {
    let text = repaired(&format!("<response>{content}</response>"));
    let content = text.strip_prefix("<response>").and_then(|rest| rest.strip_suffix("</response>"));
    content.unwrap_or_default().to_owned()
}

#[test]
fn well_formed_elements_stay_as_they_are() {
    for text in [
        "<a/>",
        "<a >x</a >",
        "<a b=\"x>y\" c='&lt;'>é&amp;&#65;&#x1F600;<b/><!-- x --><?pi x?><![CDATA[<x>]]></a>",
        "<a>]]<!-- x -->></a>",
        "<a xmlns:p='u'><p:b p:c='1' xml:lang='de'/></a>",
        "<meeting><customdata><ключ>v</ключ></customdata></meeting>",
    ] {
        let element = repair_element(text).unwrap();
        assert!(matches!(element.text, Cow::Borrowed(_)), "{text}");
        assert_eq!((element.end, element.has_lost_fields), (text.len(), false));
        roxmltree::Document::parse(text).unwrap();
    }
}

#[test]
fn the_quick_look_knows_what_servers_send() {
    let text = "<response><returncode>SUCCESS</returncode><a_b-1/>\n<x>\u{e9} 'q' \"</x><y></y></response>";
    assert_eq!(measure_plain_element(text), Some(text.len()));
    for other in [
        "<a>&amp;</a>",
        "<a b='1'/>",
        "<a>\u{fffe}</a>",
        "<a>\u{1}</a>",
        "<a><b></a>",
        "<a>",
        "</a>",
        "<p:a/>",
        "x",
    ] {
        assert_eq!(measure_plain_element(other), None, "{other}");
    }
    let deep = format!("{}{}", "<a>".repeat(MAX_DEPTH + 1), "</a>".repeat(MAX_DEPTH + 1));
    assert_eq!(measure_plain_element(&deep), None);
}

#[test]
fn what_follows_the_element_is_left_alone() {
    let element = repair_element("<a>x</a><b>").unwrap();
    assert_eq!((element.text.as_ref(), element.end), ("<a>x</a>", 8));
    let element = repair_element("<a>&</a><b>").unwrap();
    assert_eq!((element.text.as_ref(), element.end), ("<a>&amp;</a>", 8));
}

#[test]
fn elements_with_broken_tags_are_dropped() {
    for broken in [
        "<my key>v</my key>",
        "<my key>v</my>",
        "<my key/>",
        "<1st>v</1st>",
        "<a&b>v</a&b>",
        "<>v</>",
        "<a b=c>v</a>",
        "<a b='1' b='2'>v</a>",
        "<it's>v</it's>",
        "<a/b>v</a/b>",
        "<p:a>v</p:a>",
        "<p:a/>",
        "<a p:b='1'/>",
        "<@>v</@>",
        "<a;b>v</a;b>",
        "<my key>v<inner>1</inner></my key>",
        "<my key><my key>v</my key></my key>",
        "<bad>v</bad x>",
        "<!-- a -- b -->",
        "<?xml version='1.0'?>",
    ] {
        let text = repaired_content(&format!("<k>1</k><c><x>2</x>{broken}<y>3</y></c><l>4</l>"));
        assert_eq!(text, "<k>1</k><c><x>2</x><y>3</y></c><l>4</l>", "{broken}");
    }
}

#[test]
fn elements_without_an_end_are_dropped_when_their_parent_ends() {
    for broken in ["<my key>v", "<a>v", "<a><b>v", "<a>v</b", "<my key>v</other>"] {
        let text = repaired_content(&format!("<k>1</k><c><x>2</x>{broken}</c><l>4</l>"));
        assert_eq!(text, "<k>1</k><c><x>2</x></c><l>4</l>", "{broken}");
    }
    for broken in ["v</a>", "<![CDATA[v", "<!-- v", "<!x>v", "<?v"] {
        let text = repaired_content(&format!("<k>1</k><c><x>2</x>{broken}</c><l>4</l>"));
        assert_eq!(text, "<k>1</k><l>4</l>", "{broken}");
    }
}

#[test]
fn text_is_escaped_where_it_must_be() {
    for (sent, expected) in [
        ("A & B &amp; &nbsp; &;", "A &amp; B &amp; &amp;nbsp; &amp;;"),
        ("a]]>b]]]>", "a]]&gt;b]]]&gt;"),
        ("x\u{1}&#1;&#x41;&#xFFFF;&#;&#", "x&#x41;&amp;#"),
        ("1 < 2 <3", "1 &lt; 2 &lt;3"),
        ("<![CDATA[]]\u{1}>]]>", "]]&gt;"),
        ("]]<1>x</1>>", "]]&gt;"),
    ] {
        assert_eq!(repaired_content(&format!("<a>{sent}</a>")), format!("<a>{expected}</a>"));
    }
}

#[test]
fn lost_fields_are_noticed() {
    let has_lost = |content: &str| {
        let text = format!("<meeting>{content}<b>1</b></meeting>");
        repair_element(&text).unwrap().has_lost_fields
    };
    for harmless in ["", "<my key>v</my key>", "<a><my key>v</a>", "<a>&</a>", "<a><b>v</a>"] {
        assert!(!has_lost(harmless), "{harmless}");
    }
    for harmful in ["<a>v", "<my key>v", "<a>v</a x>", "<a>v</b></a>", "v</a>", "<![CDATA[v", "<v"]
    {
        assert!(has_lost(harmful), "{harmful}");
    }
}

#[test]
fn elements_that_cannot_be_saved_are_none() {
    let deep = format!("<a>{}{}</a>", "<b>".repeat(40), "</b>".repeat(40));
    for text in ["", "x", "<a>", "<a>x", "<a b>x</a>", "</a>", "<!-- x -->", "<p:a/>", &deep] {
        assert!(repair_element(text).is_none(), "{text}");
    }
}

#[test]
fn responses_are_repaired_with_what_surrounds_them() {
    let ok = "<response><returncode>SUCCESS</returncode></response>";
    for (before, after) in [
        ("", ""),
        ("<?xml version='1.0' encoding=\"UTF-8\"?>\n<!-- x -->", "\n<?pi?>"),
        ("\n", "\n"),
    ] {
        let text = format!("{before}{ok}{after}");
        assert!(matches!(repair_response(&text), Some(Cow::Borrowed(same)) if same == text));
    }
    for (before, after) in [("\n<?xml version='1.0'?>", ""), ("x", ""), ("", "x"), ("", "\0</a>")] {
        assert_eq!(repair_response(&format!("{before}{ok}{after}")).unwrap(), ok);
    }
    for (before, after) in
        [("<!DOCTYPE x>", ""), ("<html>", "</html>"), ("", ok), ("", "<response/>")]
    {
        assert!(repair_response(&format!("{before}{ok}{after}")).is_none());
    }
}

#[test]
fn hostile_texts_take_linear_time() {
    for piece in ["<a><![CDATA[", "<!--", "<a <a \"", "</a", "<?", "<a>&", "<1>", "]]", "<a b='"] {
        let text = format!("<meeting>{}", piece.repeat(200_000));
        assert!(repair_element(&text).is_none());
    }
}

/// Pieces that, put together at random, are mostly not well-formed.
fn any_markup() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "<a>",
        "</a>",
        "<b>",
        "</b>",
        "<a/>",
        "<my key>",
        "</my key>",
        "</my>",
        "<1>",
        "</1>",
        "<",
        ">",
        "&",
        ";",
        "&amp;",
        "&#1;",
        "&#65;",
        "&x;",
        "]]>",
        "]]",
        "]",
        "<![CDATA[",
        "<!--",
        "-->",
        "--",
        "-",
        "<?",
        "?>",
        "<?pi x",
        "xml",
        "<!x",
        "\u{1}",
        "\u{ffff}",
        "é",
        "x",
        " ",
        "\n",
        "'",
        "\"",
        "=",
        "<a b='",
        "<a b=\"",
        "'>",
        "\"/>",
        "<p:a>",
        "</p:a>",
        "<a xmlns:p='u'>",
        "/",
        "</",
        "<response>",
        "</response>",
        "<a p:b='' p:b=''>",
        "<é>",
        "</é>",
        ":",
        "#",
    ]);
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_repaired_is_well_formed_for_others_and_stays(markup in any_markup()) {
        let text = format!("<response>{markup}</response>");
        if let Some(repaired) = repair_response(&text) {
            let parsed = roxmltree::Document::parse(&repaired);
            prop_assert!(parsed.is_ok(), "{repaired}: {parsed:?}");
            let again = repair_response(&repaired);
            prop_assert!(matches!(again, Some(Cow::Borrowed(_))), "{repaired}: {again:?}");
        }
    }

    #[test]
    fn the_quick_look_accepts_only_what_needs_no_repair(markup in any_markup()) {
        let text = format!("<response>{markup}</response>");
        if let Some(end) = measure_plain_element(&text) {
            let element = repair_element_by_pieces(&text).unwrap();
            prop_assert!(matches!(element.text, Cow::Borrowed(_)), "{text}");
            prop_assert_eq!((element.end, element.has_lost_fields), (end, false));
        }
    }

    #[test]
    fn what_is_well_formed_for_others_is_not_changed(markup in any_markup()) {
        let text = format!("<response>{markup}</response>");
        // The other reader accepts processing instructions that XML does not allow.
        let has_instruction = text.replace("<?pi x", "").contains("<?");
        if !has_instruction && roxmltree::Document::parse(&text).is_ok() {
            let repaired = repair_response(&text);
            prop_assert!(matches!(repaired, Some(Cow::Borrowed(_))), "{text}: {repaired:?}");
        }
    }
}
