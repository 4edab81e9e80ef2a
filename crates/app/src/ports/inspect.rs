//! Checks of what the balancer depends on, for administrators: `scalelite doctor`.

use async_trait::async_trait;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingLevel {
    /// The check was not possible, because of another finding.
    Skipped,
    /// Everything is all right.
    Ok,
    /// It works now, and may fail one day.
    Warn,
    /// It does not work.
    Fail,
}

impl FindingLevel {
    /// Returns the printed name: `ok`, `warn`, `fail` or `skipped`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// The result of one check. The texts contain no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was checked, from the general to the specific: `redis: persistence`.
    pub check: String,
    /// How serious it is.
    pub level: FindingLevel,
    /// What was found.
    pub detail: String,
    /// What an administrator can do about it.
    pub advice: Option<String>,
}

impl Finding {
    /// Creates a finding of level [`FindingLevel::Ok`].
    pub fn ok(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { check: check.into(), level: FindingLevel::Ok, detail: detail.into(), advice: None }
    }

    /// Creates a finding of level [`FindingLevel::Warn`].
    pub fn warn(
        check: impl Into<String>,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self { check: check.into(), level: FindingLevel::Warn, detail: detail.into(), advice }
    }

    /// Creates a finding of level [`FindingLevel::Fail`].
    pub fn fail(
        check: impl Into<String>,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { level: FindingLevel::Fail, ..Self::warn(check, detail, advice) }
    }

    /// Creates a finding of level [`FindingLevel::Skipped`].
    pub fn skipped(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { level: FindingLevel::Skipped, ..Self::ok(check, detail) }
    }
}

/// Something that can be checked.
#[async_trait]
pub trait Inspect: Send + Sync {
    /// Makes the checks and returns their findings; a failed check is a finding, too. Nothing is
    /// changed. The checks take some seconds at most.
    async fn inspect(&self) -> Vec<Finding>;
}
