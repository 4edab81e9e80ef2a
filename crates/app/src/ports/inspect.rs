//! A closer look at what we depend on, for administrators: `scalelite doctor`.

use async_trait::async_trait;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingLevel {
    /// It could not be looked at, because of another finding.
    Skipped,
    /// As it should be.
    Ok,
    /// It works, and may be a trouble one day.
    Warn,
    /// It does not work.
    Fail,
}

impl FindingLevel {
    /// As it is printed: `ok`, `warn`, `fail`, `skipped`.
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

/// What one check found. No text holds secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, from the large to the small: `redis: persistence`.
    pub check: String,
    /// How bad it is.
    pub level: FindingLevel,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub advice: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { check: check.into(), level: FindingLevel::Ok, detail: detail.into(), advice: None }
    }

    /// It works, and may be a trouble one day.
    pub fn warn(
        check: impl Into<String>,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self { check: check.into(), level: FindingLevel::Warn, detail: detail.into(), advice }
    }

    /// It does not work.
    pub fn fail(
        check: impl Into<String>,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { level: FindingLevel::Fail, ..Self::warn(check, detail, advice) }
    }

    /// It could not be looked at.
    pub fn skipped(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { level: FindingLevel::Skipped, ..Self::ok(check, detail) }
    }
}

/// What can be looked at closely. Looking changes nothing and takes seconds at most.
#[async_trait]
pub trait Inspect: Send + Sync {
    /// Looks; a failure is a finding, too.
    async fn inspect(&self) -> Vec<Finding>;
}
