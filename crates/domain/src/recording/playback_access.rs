//! Who may watch a recording. Every byte of one is given out against a [`PlaybackPermit`], and this is the only place that
//! makes them.

use super::catalog::TenantScope;
use super::{PlaybackFormat, Recording, RecordingFormatId};

/// The right to watch one format of one recording, now. It is not kept: recordings are unpublished and deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaybackPermit {
    format_id: RecordingFormatId,
    url: Option<String>,
    protected: bool,
}

impl PlaybackPermit {
    /// What may be watched.
    #[must_use]
    pub fn format_id(&self) -> &RecordingFormatId {
        &self.format_id
    }

    /// Path and query where watching begins.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Whether it took a pass: what is given out must not be kept by caches.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.protected
    }
}

/// What stands between somebody and a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaybackAccess {
    /// Nothing.
    Granted(PlaybackPermit),
    /// Protection.
    Protected(ProtectedRecording),
    /// It is not there, for them: unknown, unpublished, deleted, another tenant's, or without that format.
    NotFound,
}

/// A protected recording before a pass was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedRecording(PlaybackPermit);

impl ProtectedRecording {
    /// Opens for a pass about just this format of this recording.
    #[must_use]
    pub fn authorize(self, subject: &str) -> Option<PlaybackPermit> {
        (self.0.format_id.subject() == subject).then_some(self.0)
    }
}

impl PlaybackAccess {
    /// What somebody finds who comes from that scope. `protection` is whether protected recordings are protected at
    /// all (`PROTECTED_RECORDINGS_ENABLED`).
    #[must_use]
    pub fn evaluate(
        format_id: RecordingFormatId,
        recording: Option<&Recording>,
        scope: &TenantScope,
        protection: bool,
    ) -> Self {
        let Some((recording, format)) =
            recording.and_then(|it| find_visible_format(&format_id, it, scope))
        else {
            return Self::NotFound;
        };
        let protected = protection && recording.protected;
        let permit = PlaybackPermit { format_id, url: format.url.clone(), protected };
        if protected { Self::Protected(ProtectedRecording(permit)) } else { Self::Granted(permit) }
    }

    /// The permit for somebody who shows a pass about that subject, or none.
    #[must_use]
    pub fn authorize(self, subject: Option<&str>) -> Option<PlaybackPermit> {
        match self {
            Self::Granted(permit) => Some(permit),
            Self::Protected(lock) => subject.and_then(|subject| lock.authorize(subject)),
            Self::NotFound => None,
        }
    }
}

fn find_visible_format<'a>(
    format_id: &RecordingFormatId,
    recording: &'a Recording,
    scope: &TenantScope,
) -> Option<(&'a Recording, &'a PlaybackFormat)> {
    let is_it = recording.record_id == format_id.record_id.as_str();
    let is_there = recording.published && !recording.is_deleted() && scope.accepts(recording);
    let format = recording.formats.iter().find(|one| one.format == format_id.format.as_str())?;
    (is_it && is_there).then_some((recording, format))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recording::catalog::TENANT_KEY;
    use crate::time::Timestamp;

    fn format_id(record_id: &str, format: &str) -> RecordingFormatId {
        RecordingFormatId::parse(record_id, format).unwrap()
    }

    /// Recordings of all kinds, of few names so that they often are what is wished for.
    fn recordings() -> impl Strategy<Value = Option<Recording>> {
        let names = prop::sample::subsequence(vec!["notes", "presentation", "video"], 0..=3);
        let tenant = prop::sample::select(vec![None, Some(""), Some("a"), Some("b")]);
        let state = prop::sample::select(vec![None, Some("published"), Some("deleted")]);
        let flags = (any::<bool>(), any::<bool>(), any::<bool>());
        let id = prop::sample::select(vec!["r1", "r2"]);
        let made = (id, names, tenant, state, flags).prop_map(
            |(id, names, tenant, state, (published, protected, gone))| Recording {
                record_id: id.to_owned(),
                published,
                protected,
                state: state.map(str::to_owned),
                deleted_at: gone.then_some(Timestamp(1)),
                metadata: tenant
                    .map(|tenant| (TENANT_KEY.to_owned(), Some(tenant.to_owned())))
                    .into_iter()
                    .collect(),
                formats: names
                    .into_iter()
                    .map(|name| PlaybackFormat {
                        format: name.to_owned(),
                        url: Some(format!("/{name}/{id}/")),
                        ..PlaybackFormat::default()
                    })
                    .collect(),
                ..Recording::default()
            },
        );
        prop::option::weighted(0.9, made)
    }

    fn scopes() -> impl Strategy<Value = TenantScope> {
        let tenant = |id: &str| TenantScope::Tenant(id.to_owned());
        prop::sample::select(vec![TenantScope::All, tenant("a"), tenant("b")])
    }

    fn format_ids() -> impl Strategy<Value = RecordingFormatId> {
        let formats = prop::sample::select(vec!["notes", "presentation", "video"]);
        (prop::sample::select(vec!["r1", "r2"]), formats)
            .prop_map(|(id, format)| format_id(id, format))
    }

    fn subjects() -> impl Strategy<Value = Option<String>> {
        let near = ["", "/", "r1", "/r1/video", "/video/r1/", "/video", "/VIDEO/r1", "video/r1"];
        let near = prop::sample::select(near.map(str::to_owned).to_vec());
        prop::option::of(prop_oneof![format_ids().prop_map(|format_id| format_id.subject()), near])
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn permits_meet_every_condition(
            format_id in format_ids(), recording in recordings(), scope in scopes(),
            protection: bool, pass in subjects(),
        ) {
            let entry = PlaybackAccess::evaluate(format_id.clone(), recording.as_ref(), &scope, protection);
            let permit = entry.authorize(pass.as_deref());
            // Spelled out once more, reason by reason.
            let reasons = recording.as_ref().is_some_and(|recording| {
                let tenant = recording.metadata.iter().find(|(key, _)| key == TENANT_KEY);
                let tenant = tenant.and_then(|(_, value)| value.as_deref());
                [
                    recording.record_id == format_id.record_id.as_str(),
                    recording.published,
                    recording.deleted_at.is_none(),
                    recording.state.as_deref() != Some("deleted"),
                    recording.formats.iter().any(|one| one.format == format_id.format.as_str()),
                    match &scope { TenantScope::All => true, TenantScope::Tenant(id) => tenant == Some(id) },
                    !protection || !recording.protected || pass == Some(format_id.subject()),
                ]
                .iter()
                .all(|reason| *reason)
            });
            prop_assert_eq!(permit.is_some(), reasons);
            if let Some(permit) = permit {
                prop_assert_eq!(permit.format_id(), &format_id);
                let protected = recording.is_some_and(|recording| recording.protected);
                prop_assert_eq!(permit.is_protected(), protection && protected);
            }
        }

        #[test]
        fn one_subject_opens_one_format_of_one_recording(a in format_ids(), b in format_ids()) {
            prop_assert_eq!(a.subject() == b.subject(), a == b);
        }
    }

    #[test]
    fn unknown_recordings_are_not_found() {
        assert_eq!(
            PlaybackAccess::evaluate(format_id("r1", "video"), None, &TenantScope::All, false),
            PlaybackAccess::NotFound
        );
    }
}
