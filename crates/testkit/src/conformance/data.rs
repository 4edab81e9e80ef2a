//! Reads the recorded cases, their expectations, and the list of deliberate differences.

use super::node::YamlNode;
use anyhow::{Context, ensure};
use std::collections::HashSet;
use std::path::Path;

/// A case with its expectations.
#[derive(Debug)]
pub(super) struct ConformanceCase {
    /// The case as area/name.
    pub(super) name: String,
    pub(super) profile: String,
    pub(super) spec: YamlNode,
    /// The responses of the original.
    pub(super) recorded: YamlNode,
    pub(super) difference: Option<ExpectedDifference>,
    /// Why the case is not played; none if it is played.
    pub(super) skip_reason: Option<String>,
}

/// Other responses than those of the original, on purpose.
#[derive(Debug)]
pub(super) struct ExpectedDifference {
    pub(super) rule: i64,
    pub(super) expect: YamlNode,
}

/// The settings of each profile, and the settings of all profiles.
#[derive(Debug)]
pub(super) struct SettingProfiles {
    common: YamlNode,
    by_name: YamlNode,
}

impl SettingProfiles {
    pub(super) fn load(data: &Path) -> anyhow::Result<SettingProfiles> {
        let all = read_yaml(&data.join("profiles.yaml"))?;
        let common = all.get("common").cloned().context("profiles.yaml: no common settings")?;
        Ok(SettingProfiles { common, by_name: all })
    }

    /// The settings of a profile, after the common ones.
    pub(super) fn settings(&self, profile: &str) -> anyhow::Result<Vec<(String, String)>> {
        let own = self.by_name.get(profile).with_context(|| format!("no profile {profile}"))?;
        let pairs = self.common.pairs().iter().chain(own.pairs());
        Ok(pairs.filter_map(|(name, value)| Some((name.clone(), value.text()?))).collect())
    }
}

/// Reads all cases, in the order of their files.
pub(super) fn load_cases(data: &Path) -> anyhow::Result<Vec<ConformanceCase>> {
    let mut files = std::fs::read_dir(data.join("cases"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<Vec<String>>>()?;
    files.retain(|file| file.ends_with(".yaml") && file.starts_with(|c: char| c.is_ascii_digit()));
    files.sort();
    let mut cases = Vec::new();
    for file in &files {
        let recorded = read_yaml(&data.join("expect").join(file))?;
        cases.extend(parse_cases(file, &read_yaml(&data.join("cases").join(file))?, &recorded)?);
    }
    let names: HashSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    ensure!(names.len() == cases.len(), "two cases have the same name");
    apply_differences(&mut cases, &read_yaml(&data.join("differences.yaml"))?)?;
    Ok(cases)
}

fn parse_cases(
    file: &str,
    document: &YamlNode,
    recorded: &YamlNode,
) -> anyhow::Result<Vec<ConformanceCase>> {
    let stem = file.trim_end_matches(".yaml");
    let area = stem.split_once('-').map_or(stem, |(_, area)| area);
    let default_profile = document.get_text("profile").unwrap_or_else(|| "default".to_owned());
    let mut cases = Vec::new();
    for spec in document.get("cases").map(YamlNode::items).unwrap_or_default() {
        let name = spec.get_text("name").with_context(|| format!("{file}: a case has no name"))?;
        let expected = recorded.get(&name).cloned();
        cases.push(ConformanceCase {
            profile: spec.get_text("profile").unwrap_or_else(|| default_profile.clone()),
            spec: spec.clone(),
            recorded: expected.with_context(|| format!("{area}/{name} has no expectation"))?,
            difference: None,
            skip_reason: None,
            name: format!("{area}/{name}"),
        });
    }
    Ok(cases)
}

/// Adds `differences.yaml` to the cases. An entry without a case is an error.
fn apply_differences(cases: &mut [ConformanceCase], list: &YamlNode) -> anyhow::Result<()> {
    for entry in list.get("differences").map(YamlNode::items).unwrap_or_default() {
        let name = entry.get_text("case").context("differences: an entry names no case")?;
        let label = || format!("differences: {name}");
        ensure!(entry.is_truthy("reason"), "{}: no reason", label());
        let difference = ExpectedDifference {
            rule: entry.get_int("rule").context("no rule").with_context(label)?,
            expect: entry.get("expect").cloned().context("no expect").with_context(label)?,
        };
        let case = cases.iter_mut().find(|case| case.name == name);
        let case = case.context("no such case").with_context(label)?;
        ensure!(case.difference.replace(difference).is_none(), "{}: listed twice", label());
    }
    for entry in list.get("not_yet").map(YamlNode::items).unwrap_or_default() {
        let prefix = entry.get_text("prefix").context("not_yet: an entry has no prefix")?;
        let reason = entry.get_text("reason").context("not_yet: an entry has no reason")?;
        let mut count = 0;
        for case in cases.iter_mut().filter(|case| case.name.starts_with(&prefix)) {
            case.skip_reason = Some(reason.clone());
            count += 1;
        }
        ensure!(count > 0, "not_yet: no case begins with {prefix}");
    }
    Ok(())
}

fn read_yaml(path: &Path) -> anyhow::Result<YamlNode> {
    let label = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(label)?;
    YamlNode::parse(&text).with_context(label)
}
