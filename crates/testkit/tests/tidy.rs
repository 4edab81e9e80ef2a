//! Rules for the sources that compilers and linters do not check: which module may use which, how long
//! a file may be, what every file and manifest must have, and which words are not used.

#![expect(clippy::expect_used, reason = "a test that cannot read the sources must fail")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The largest number of lines of a file without its unit tests. A longer file has two subjects.
const MAX_LINES: usize = 400;
/// Files that may be longer, with their limit. The list only shrinks.
const LONGER_FILES: &[(&str, usize)] = &[];

fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// The path from the root and the text of every source file.
fn read_sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![workspace_root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name =
                    path.strip_prefix(workspace_root()).expect("inside").display().to_string();
                found.insert(name, fs::read_to_string(&path).expect("text"));
            }
        }
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

/// The part of a file that is not its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

/// The lines of files in a directory that contain any of these words outside of comments and unit tests.
fn find_lines(inside: &str, words: &[&str], except: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in read_sources() {
        if !name.starts_with(inside) || except.iter().any(|allowed| name.starts_with(allowed)) {
            continue;
        }
        for (number, line) in without_tests(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or(line);
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn pure_crates_use_no_clock_no_randomness_no_environment_and_no_files() {
    let words = ["std::time", "std::env", "std::fs", "std::net", "tokio", "rand::", "async fn"];
    for inside in ["crates/bbb/src", "crates/domain/src"] {
        assert_eq!(find_lines(inside, &words, &[]), [] as [&str; 0]);
    }
}

#[test]
fn use_cases_name_no_adapter_and_no_framework() {
    let words = ["adapters::", "rusqlite", "hyper", "scalelite::", "std::fs", "std::env"];
    // The files of a format come from a directory, in every implementation of the port.
    let except = ["crates/app/src/memory/blobs.rs"];
    assert_eq!(find_lines("crates/app/src", &words, &except), [] as [&str; 0]);
}

#[test]
fn only_wiring_and_addresses_use_adapters() {
    // Settings contain addresses of stores, which adapters parse.
    let except = ["crates/scalelite/src/wiring", "crates/scalelite/src/config/stores"];
    assert_eq!(find_lines("crates/scalelite/src", &["adapters::"], &except), [] as [&str; 0]);
}

#[test]
fn http_and_commands_do_not_use_each_other() {
    let http = "crates/scalelite/src/http";
    assert_eq!(find_lines(http, &["crate::cmd", "crate::cli"], &[]), [] as [&str; 0]);
    // `demo` runs a server, like `serve`.
    let except = ["crates/scalelite/src/cmd/demo.rs"];
    let commands = "crates/scalelite/src/cmd";
    assert_eq!(find_lines(commands, &["crate::http"], &except), [] as [&str; 0]);
}

#[test]
fn simulated_servers_do_not_share_code_with_the_product() {
    let words = ["bbb::", "domain::", "app::", "adapters::"];
    assert_eq!(find_lines("crates/bbb-sim/src", &words, &[]), [] as [&str; 0]);
}

#[test]
fn files_are_short_and_begin_with_a_comment() {
    for (name, text) in read_sources() {
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//! "), "{name} does not begin with a description");
        let limit =
            LONGER_FILES.iter().find(|(long, _)| *long == name).map_or(MAX_LINES, |(_, n)| *n);
        let lines = without_tests(&text).lines().count();
        assert!(lines <= limit, "{name} has {lines} lines, more than {limit}");
    }
}

#[test]
fn no_todo_is_left() {
    // Split, so that this file does not contain them.
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("to", "do!(")];
    for (name, text) in read_sources() {
        for mark in marks {
            assert!(!text.contains(mark), "{name} contains {mark}");
        }
    }
}

#[test]
fn every_crate_has_a_description_and_the_lints() {
    for entry in fs::read_dir(workspace_root().join("crates")).expect("crates") {
        let manifest = entry.expect("an entry").path().join("Cargo.toml");
        let text = fs::read_to_string(&manifest).expect("a manifest");
        for needed in ["description =", "license.workspace = true", "[lints]\nworkspace = true"] {
            assert!(text.contains(needed), "{}: {needed}", manifest.display());
        }
        let own = text.lines().find(|line| line.contains("version = ") && line.contains('{'));
        assert_eq!(
            own,
            None,
            "{}: versions belong into the workspace manifest",
            manifest.display()
        );
    }
}

#[test]
fn linked_documents_exist() {
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        let text = fs::read_to_string(workspace_root().join(document)).expect(document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                assert!(workspace_root().join(file).exists(), "{document} links to {file}");
            }
        }
    }
}

/// The crates of the product.
const PRODUCT: [&str; 5] = ["bbb", "domain", "app", "adapters", "scalelite"];

/// Words that the project does not use in names and comments, with the plain terms instead.
const RETIRED_WORDS: &[(&[&str], &str)] = &[
    (&["beacon", "beacons"], "change counter"),
    (&["booked", "booking", "bookings"], "forecast"),
    (&["caretaker", "caretakers"], "background job"),
    (&["courier", "couriers"], "callback client"),
    (&["dice"], "random generator"),
    (&["door", "doors"], "connector"),
    (&["doubt", "doubted", "doubts"], "failure"),
    (&["fate", "fates"], "update"),
    (&["foreseen", "promised"], "expected"),
    (&["gate", "gates"], "HTTP state"),
    (&["homes"], "previous servers"),
    (&["house", "houses"], "stores"),
    (&["incomer", "incomers"], "API request"),
    (&["journey", "journeys"], "file move"),
    (&["keeper", "keepers"], "server backup"),
    (&["ledger", "vault", "weather"], "expectations, store proxy, fault schedule"),
    (&["newcomer", "newcomers"], "new meeting"),
    (&["patience", "impatient"], "timeout"),
    (&["seat", "seats"], "users"),
    (&["shelf", "shelves"], "visibility, catalog"),
    (&["standing"], "health state"),
    (&["stray", "strays"], "unwanted meeting"),
    (&["theatre", "theatres"], "playback service"),
    (&["trail", "trails"], "request log"),
    (&["verdict", "verdicts"], "outcome"),
    (&["vouch", "vouched", "vouches"], "answered from getMeetingInfo"),
    (&["workshop", "workshops"], "staging directory"),
];

/// Words that are retired in the crates of the product only.
const RETIRED_PRODUCT_WORDS: &[(&[&str], &str)] = &[(&["bench", "benches"], "staging directory")];

/// Names of types that are defined twice, with the reason.
const REPEATED_TYPES: &[(&str, &str)] = &[];

/// The identifiers and comments of a source file, with the numbers of their lines. Strings are left out.
fn words_and_comments(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let length = token_length(rest, first);
        let (token, after) = rest.split_at(length);
        let is_word = (first.is_alphabetic() || first == '_') && !token.ends_with(['"', '#']);
        if is_word || token.starts_with("//") {
            found.push((line, token));
        }
        line += token.matches('\n').count();
        rest = after;
    }
    found
}

/// The length of the token at the beginning of a text, in bytes.
fn token_length(text: &str, first: char) -> usize {
    let length_until = |end: &str, from: usize| {
        text[from..].find(end).map_or(text.len(), |found| from + found + end.len())
    };
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("r#\"") {
        return length_until("\"#", 3);
    }
    if text.starts_with("r\"") {
        return length_until("\"", 2);
    }
    if first == '"' {
        let mut escaped = false;
        let end = text.char_indices().skip(1).find(|(_, character)| {
            let is_end = *character == '"' && !escaped;
            escaped = *character == '\\' && !escaped;
            is_end
        });
        return end.map_or(text.len(), |(at, _)| at + 1);
    }
    // A character, but not a lifetime.
    if first == '\'' && (text.starts_with("'\\") || text.chars().nth(2) == Some('\'')) {
        return length_until("'", if text.starts_with("'\\") { 3 } else { 1 + first_length(text) });
    }
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    match text.find(|character| !is_word(character)) {
        Some(0) => first.len_utf8(),
        Some(length) => length,
        None => text.len(),
    }
}

/// The length of the character after a quote.
fn first_length(text: &str) -> usize {
    text.chars().nth(1).map_or(0, char::len_utf8)
}

/// The words of an identifier or a comment, in lower case: `SpeltTogether` has two.
fn split_words(token: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for character in token.chars() {
        let begins_word = character.is_uppercase() && was_lower;
        if begins_word || !character.is_alphabetic() {
            words.push(String::new());
        }
        if character.is_alphabetic()
            && let Some(word) = words.last_mut()
        {
            word.extend(character.to_lowercase());
        }
        was_lower = character.is_lowercase();
    }
    words
}

#[test]
fn names_and_comments_use_plain_words() {
    let mut found = Vec::new();
    for (name, text) in read_sources() {
        // This file lists the words.
        if name == "crates/testkit/tests/tidy.rs" {
            continue;
        }
        let is_product =
            PRODUCT.iter().any(|krate| name.starts_with(&format!("crates/{krate}/src/")));
        let product_words = if is_product { RETIRED_PRODUCT_WORDS } else { &[] };
        for (line, token) in words_and_comments(&text) {
            for word in split_words(token) {
                let retired = RETIRED_WORDS.iter().chain(product_words);
                let plain = retired.clone().find(|(words, _)| words.contains(&word.as_str()));
                if let Some((_, plain)) = plain {
                    found.push(format!("{name}:{line}: {word} (plain: {plain})"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{} retired words:\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_type_name_is_defined_once_in_the_product() {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, text) in read_sources() {
        let is_product =
            PRODUCT.iter().any(|krate| name.starts_with(&format!("crates/{krate}/src/")));
        let is_test = name.ends_with("/tests.rs") || name.contains("/tests/");
        if !is_product || is_test {
            continue;
        }
        for line in without_tests(&text).lines() {
            if let Some(defined) = defined_type(line) {
                files.entry(defined.to_owned()).or_default().push(name.clone());
            }
        }
    }
    files.retain(|name, files| {
        files.len() > 1 && !REPEATED_TYPES.iter().any(|(known, _)| known == name)
    });
    assert!(files.is_empty(), "types with the same name: {files:#?}");
}

/// The name of the type that a line at the top level of a module defines.
fn defined_type(line: &str) -> Option<&str> {
    let line = match line.strip_prefix("pub(") {
        Some(rest) => rest.split_once(") ")?.1,
        None => line.strip_prefix("pub ").unwrap_or(line),
    };
    let kinds = ["struct ", "enum ", "trait ", "type ", "union "];
    let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
    rest.split(|character: char| !character.is_alphanumeric()).next()
}

#[test]
fn words_are_found_in_names_and_comments_only() {
    let text = "let a_b = \"c\"; // d e\nfn TwoWords<'f>() { 'g'; r#\"h\"# }";
    let words: Vec<(usize, Vec<String>)> = words_and_comments(text)
        .into_iter()
        .map(|(line, token)| (line, split_words(token)))
        .map(|(line, words)| (line, words.into_iter().filter(|word| !word.is_empty()).collect()))
        .collect();
    let words: Vec<(usize, String)> = words.into_iter().map(|(n, w)| (n, w.join(" "))).collect();
    let expected = [(1, "let"), (1, "a b"), (1, "d e"), (2, "fn"), (2, "two words"), (2, "f")];
    assert_eq!(words, expected.map(|(line, words)| (line, words.to_owned())));
}
