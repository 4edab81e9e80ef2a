//! The recorded conformance cases, played against a built binary.
//!
//! `data/conformance` of this crate holds the cases, what the original answered, and the list of
//! answers that deliberately differ; its README explains the format. [`run`] starts the binary for
//! each profile of settings with a simulated pool, plays the cases and compares.

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

/// Cases of one profile that one server plays; more are shared out among several servers.
const MAX_CASES_PER_SERVER: usize = 64;

/// What to play against what.
#[derive(Debug, Clone)]
pub struct ConformanceOptions {
    /// The program, which knows `serve` and `poll all`.
    pub binary: PathBuf,
    /// Only cases with this in their area/name; at its beginning, if this begins with `^`.
    pub filter: Option<String>,
    /// The folder with the cases.
    pub data: PathBuf,
    /// Where the program is to keep its state.
    pub stores: StoreKind,
}

impl ConformanceOptions {
    /// All cases of this crate.
    pub fn new(binary: impl Into<PathBuf>) -> ConformanceOptions {
        let data = [env!("CARGO_MANIFEST_DIR"), "data", "conformance"].iter().collect();
        ConformanceOptions {
            binary: binary.into(),
            filter: None,
            data,
            stores: StoreKind::Embedded,
        }
    }

    /// The same with state kept there.
    #[must_use]
    pub fn with_stores(self, stores: StoreKind) -> ConformanceOptions {
        ConformanceOptions { stores, ..self }
    }
}

/// What came of it, in the order of the cases.
#[derive(Debug, Clone, Default)]
pub struct CaseReport {
    /// Cases answered as expected.
    pub passed: usize,
    /// Cases answered otherwise.
    pub failed: Vec<CaseFailure>,
    /// Cases not played, with the reason.
    pub skipped: Vec<(String, String)>,
}

/// A case that was not answered as expected.
#[derive(Debug, Clone)]
pub struct CaseFailure {
    /// area/name of the case.
    pub name: String,
    /// What differs, or what went wrong.
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

/// Plays the cases; an error means that they could not be played at all.
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
    ensure!(!chosen.is_empty(), "no case is named like that");
    let stores = TestStores::start(options.stores).await.context("starting the stores")?;
    let played = futures_util::future::try_join_all(
        split_cases(&chosen).into_iter().map(|job| play_cases(options, &profiles, &stores, job)),
    );
    let verdicts = played.await?.into_iter().flatten().collect::<Vec<_>>();
    let mut report = CaseReport::default();
    for case in chosen {
        if let Some(reason) = &case.skip_reason {
            report.skipped.push((case.name.clone(), reason.clone()));
            continue;
        }
        match verdicts.iter().find(|(name, _)| *name == case.name) {
            Some((_, None)) => report.passed += 1,
            Some((name, Some(diff))) => {
                report.failed.push(CaseFailure { name: (*name).to_owned(), diff: diff.clone() });
            }
            None => anyhow::bail!("{} was not played", case.name),
        }
    }
    Ok(report)
}

/// The cases to play, in portions of one profile each.
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

/// For each case nothing, or what was wrong.
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
    let stores = stores.new_share().await?;
    let player = CasePlayer::start(&options.binary, stores, profiles, profile, &cases).await;
    let mut player = player.with_context(|| format!("starting profile {profile}"))?;
    let mut verdicts = Vec::new();
    for case in cases {
        let wrong = match player.play_case(case).await {
            Ok(got) => describe_difference(case, &got),
            Err(error) => Some(format!("  {error:#}")),
        };
        verdicts.push((case.name.as_str(), wrong));
    }
    Ok(verdicts)
}

/// Compares with what is expected of us: the recorded answers or those of a deliberate difference.
fn describe_difference(case: &ConformanceCase, got: &YamlNode) -> Option<String> {
    let (expected, rule) = match &case.difference {
        Some(difference) => (&difference.expect, Some(difference.rule)),
        None => (&case.recorded, None),
    };
    if got == expected {
        return None;
    }
    let mut diff = diff::unified_diff(&expected.lines(), &got.lines());
    if diff.is_empty() {
        diff = format!("  expected {expected:?}\n  got {got:?}");
    }
    match rule {
        Some(rule) if *got == case.recorded => {
            Some(format!("  difference no longer needed (rule {rule}): answered as recorded"))
        }
        Some(rule) => Some(format!("  (expected by rule {rule})\n{diff}")),
        None => Some(diff),
    }
}

#[cfg(test)]
mod tests;
