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
        assert_eq!(own, None, "{}: versions belong into the workspace manifest", manifest.display());
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
