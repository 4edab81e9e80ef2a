//! Plays the recorded conformance cases against a built binary.
//!
//! `data/conformance` of this crate has the cases, the responses of the original, and a list of
//! deliberate differences; its README explains the format. [`run`] starts the binary for each
//! profile of settings with simulated servers, plays the cases and compares the responses.

mod data;
pub(crate) mod diff;
pub mod http;
mod import;
mod node;
mod normalizer;
mod player;
mod pool;
mod request;
mod target;
mod xml;

use crate::stores::{StoreKind, TestStores};
use anyhow::{Context, ensure};
use data::{ConformanceCase, SettingProfiles};
use node::YamlNode;
use player::CasePlayer;
use std::fmt;
use std::path::PathBuf;

/// The largest number of cases for one process. More cases of a profile are divided among several
/// processes.
const MAX_CASES_PER_SERVER: usize = 64;

/// Which cases to play against which binary.
#[derive(Debug, Clone)]
pub struct ConformanceOptions {
    /// The program, which must have the commands `serve` and `poll all`.
    pub binary: PathBuf,
    /// Plays only cases whose area/name contains this text, or begins with it if it is written
    /// after `^`.
    pub filter: Option<String>,
    /// The folder with the cases.
    pub data: PathBuf,
    /// The stores of the program.
    pub stores: StoreKind,
}

impl ConformanceOptions {
    /// Plays all cases of this crate with an embedded store.
    pub fn new(binary: impl Into<PathBuf>) -> ConformanceOptions {
        let data = [env!("CARGO_MANIFEST_DIR"), "data", "conformance"].iter().collect();
        ConformanceOptions {
            binary: binary.into(),
            filter: None,
            data,
            stores: StoreKind::Embedded,
        }
    }

    /// Sets the kind of stores.
    #[must_use]
    pub fn with_stores(self, stores: StoreKind) -> ConformanceOptions {
        ConformanceOptions { stores, ..self }
    }
}

/// The results, in the order of the cases.
#[derive(Debug, Clone, Default)]
pub struct CaseReport {
    /// The number of cases with the expected responses.
    pub passed: usize,
    /// Cases with other responses.
    pub failed: Vec<CaseFailure>,
    /// Names of cases that were not played, with the reason.
    pub skipped: Vec<(String, String)>,
}

/// A case whose responses were not as expected.
#[derive(Debug, Clone)]
pub struct CaseFailure {
    /// The case as area/name.
    pub name: String,
    /// The difference, or the error that ended the case.
    pub diff: String,
}

impl fmt::Display for CaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failed {
            writeln!(f, "FAILED {}\n{}", failure.name, failure.diff.trim_end_matches('\n'))?;
        }
        let (failed, skipped) = (self.failed.len(), self.skipped.len());
        write!(f, "{} passed, {failed} failed, {skipped} skipped", self.passed)
    }
}

/// Plays the cases.
///
/// # Errors
/// When cases cannot be played at all.
pub async fn run(options: &ConformanceOptions) -> anyhow::Result<CaseReport> {
    let profiles = SettingProfiles::load(&options.data)?;
    let cases = data::load_cases(&options.data)?;
    let is_chosen = |case: &&ConformanceCase| match options.filter.as_deref() {
        None => true,
        Some(only) => match only.strip_prefix('^') {
            Some(prefix) => case.name.starts_with(prefix),
            None => case.name.contains(only),
        },
    };
    let chosen: Vec<&ConformanceCase> = cases.iter().filter(is_chosen).collect();
    ensure!(!chosen.is_empty(), "no case has a name like that");
    let stores = TestStores::shared(options.stores).await.context("starting the stores")?;
    let played = futures_util::future::try_join_all(
        split_cases(&chosen).into_iter().map(|job| play_cases(options, &profiles, &stores, job)),
    );
    let results = played.await?.into_iter().flatten().collect::<Vec<_>>();
    let mut report = CaseReport::default();
    for case in chosen {
        if let Some(reason) = &case.skip_reason {
            report.skipped.push((case.name.clone(), reason.clone()));
            continue;
        }
        match results.iter().find(|(name, _)| *name == case.name) {
            Some((_, None)) => report.passed += 1,
            Some((name, Some(diff))) => {
                report.failed.push(CaseFailure { name: (*name).to_owned(), diff: diff.clone() });
            }
            None => anyhow::bail!("{} was not played", case.name),
        }
    }
    Ok(report)
}

/// Divides the cases that are to be played into portions of one profile each.
fn split_cases<'a>(chosen: &[&'a ConformanceCase]) -> Vec<Vec<&'a ConformanceCase>> {
    let mut by_profile: Vec<Vec<&ConformanceCase>> = Vec::new();
    for case in chosen.iter().filter(|case| case.skip_reason.is_none()) {
        match by_profile.iter_mut().find(|cases| cases[0].profile == case.profile) {
            Some(cases) => cases.push(case),
            None => by_profile.push(vec![case]),
        }
    }
    let portions = by_profile.iter().flat_map(|cases| {
        let portions = cases.len().div_ceil(MAX_CASES_PER_SERVER);
        cases.chunks(cases.len().div_ceil(portions)).map(<[&ConformanceCase]>::to_vec)
    });
    portions.collect()
}

/// Returns for each case its name and the difference, if there is any.
async fn play_cases<'a>(
    options: &ConformanceOptions,
    profiles: &SettingProfiles,
    stores: &TestStores,
    cases: Vec<&'a ConformanceCase>,
) -> anyhow::Result<Vec<(&'a str, Option<String>)>> {
    let Some(first) = cases.first() else {
        return Ok(Vec::new());
    };
    let profile = first.profile.as_str();
    let stores = stores.with_new_databases().await?;
    let player = CasePlayer::start(&options.binary, stores, profiles, profile, &cases).await;
    let mut player = player.with_context(|| format!("starting profile {profile}"))?;
    let mut results = Vec::new();
    for case in cases {
        let difference = match player.play_case(case).await {
            Ok(found) => describe_difference(case, &found),
            Err(error) => Some(format!("  {error:#}")),
        };
        results.push((case.name.as_str(), difference));
    }
    Ok(results)
}

/// Compares with the expected responses: the recorded ones, or those of a deliberate difference.
fn describe_difference(case: &ConformanceCase, found: &YamlNode) -> Option<String> {
    let (expected, rule) = match &case.difference {
        Some(difference) => (&difference.expect, Some(difference.rule)),
        None => (&case.recorded, None),
    };
    if found == expected {
        return None;
    }
    let mut diff = diff::unified_diff(&expected.lines(), &found.lines());
    if diff.is_empty() {
        diff = format!("  expected {expected:?}\n  found {found:?}");
    }
    match rule {
        Some(rule) if *found == case.recorded => Some(format!(
            "  difference no longer needed (rule {rule}): the responses are as recorded"
        )),
        Some(rule) => Some(format!("  (expected by rule {rule})\n{diff}")),
        None => Some(diff),
    }
}

#[cfg(test)]
mod tests;
