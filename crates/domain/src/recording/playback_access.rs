//! Decides who may watch a recording. Files of recordings are only sent to holders of a
//! [`PlaybackPermit`], and only this module creates permits.

use super::catalog::TenantScope;
use super::{PlaybackFormat, Recording, RecordingFormatId};

/// The permission to watch one format of one recording. It must not be stored, because recordings
/// can be unpublished or deleted at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaybackPermit {
    format_id: RecordingFormatId,
    url: Option<String>,
    name: Option<String>,
    protected: bool,
}

impl PlaybackPermit {
    /// Returns the format that may be watched.
    #[must_use]
    pub fn format_id(&self) -> &RecordingFormatId {
        &self.format_id
    }

    /// Returns path and query of the URL at which playback starts.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Returns the name of the meeting.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns whether the recording is protected. Caches must not store files of protected
    /// recordings.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.protected
    }
}

/// A viewer's access to a playback format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaybackAccess {
    /// The viewer may watch.
    Granted(PlaybackPermit),
    /// The viewer may watch with a valid token.
    Protected(ProtectedRecording),
    /// The recording is not visible to the viewer: it is unknown, unpublished, deleted, another
    /// tenant's, or does not have the format.
    NotFound,
}

/// A protected recording for which no token has been presented yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedRecording(PlaybackPermit);

impl ProtectedRecording {
    /// Returns the format that a token is needed for.
    #[must_use]
    pub fn format_id(&self) -> &RecordingFormatId {
        &self.0.format_id
    }

    /// Returns the permit if a token's subject is [`RecordingFormatId::subject`] of this format.
    #[must_use]
    pub fn authorize(self, subject: &str) -> Option<PlaybackPermit> {
        (self.0.format_id.subject() == subject).then_some(self.0)
    }
}

impl PlaybackAccess {
    /// Determines the access of a viewer with this tenant scope. `protection` is whether protected
    /// recordings require tokens at all (`PROTECTED_RECORDINGS_ENABLED`).
    #[must_use]
    pub fn evaluate(
        format_id: RecordingFormatId,
        recording: Option<&Recording>,
        scope: &TenantScope,
        protection: bool,
    ) -> Self {
        let Some((recording, format)) =
            recording.and_then(|recording| find_visible_format(&format_id, recording, scope))
        else {
            return Self::NotFound;
        };
        let protected = protection && recording.protected;
        let (url, name) = (format.url.clone(), recording.name.clone());
        let permit = PlaybackPermit { format_id, url, name, protected };
        if protected { Self::Protected(ProtectedRecording(permit)) } else { Self::Granted(permit) }
    }

    /// Returns the permit of a viewer, who may present a valid token with this subject.
    #[must_use]
    pub fn authorize(self, subject: Option<&str>) -> Option<PlaybackPermit> {
        match self {
            Self::Granted(permit) => Some(permit),
            Self::Protected(protected) => subject.and_then(|subject| protected.authorize(subject)),
            Self::NotFound => None,
        }
    }
}

fn find_visible_format<'a>(
    format_id: &RecordingFormatId,
    recording: &'a Recording,
    scope: &TenantScope,
) -> Option<(&'a Recording, &'a PlaybackFormat)> {
    let is_requested = recording.record_id == format_id.record_id.as_str();
    let is_visible = recording.published && !recording.is_deleted() && scope.accepts(recording);
    let name = format_id.format.as_str();
    let format = recording.formats.iter().find(|format| format.format == name)?;
    (is_requested && is_visible).then_some((recording, format))
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

    /// Recordings with few different names, so that they are often the requested one.
    fn recordings() -> impl Strategy<Value = Option<Recording>> {
        let names = prop::sample::subsequence(vec!["notes", "presentation", "video"], 0..=3);
        let tenant = prop::sample::select(vec![None, Some(""), Some("a"), Some("b")]);
        let state = prop::sample::select(vec![None, Some("published"), Some("deleted")]);
        let flags = (any::<bool>(), any::<bool>(), any::<bool>());
        let id = prop::sample::select(vec!["r1", "r2"]);
        let recording = (id, names, tenant, state, flags).prop_map(
            |(id, names, tenant, state, (published, protected, deleted))| Recording {
                record_id: id.to_owned(),
                published,
                protected,
                state: state.map(str::to_owned),
                deleted_at: deleted.then_some(Timestamp(1)),
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
        prop::option::weighted(0.9, recording)
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
        let similar = ["", "/", "r1", "/r1/video", "/video/r1/", "/video", "/VIDEO/r1", "video/r1"];
        let similar = prop::sample::select(similar.map(str::to_owned).to_vec());
        prop::option::of(prop_oneof![
            format_ids().prop_map(|format_id| format_id.subject()),
            similar
        ])
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn permits_are_granted_only_if_every_condition_is_met(
            requested in format_ids(), recording in recordings(), scope in scopes(),
            protection: bool, subject in subjects(),
        ) {
            let access = PlaybackAccess::evaluate(requested.clone(), recording.as_ref(), &scope, protection);
            let permit = access.authorize(subject.as_deref());
            // The conditions, one by one.
            let expected = recording.as_ref().is_some_and(|recording| {
                let tenant = recording.metadata.iter().find(|(key, _)| key == TENANT_KEY);
                let tenant = tenant.and_then(|(_, value)| value.as_deref());
                [
                    recording.record_id == requested.record_id.as_str(),
                    recording.published,
                    recording.state.as_deref() != Some("deleted"),
                    recording.formats.iter().any(|format| format.format == requested.format.as_str()),
                    match &scope { TenantScope::All => true, TenantScope::Tenant(id) => tenant == Some(id) },
                    !protection || !recording.protected || subject == Some(requested.subject()),
                ]
                .iter()
                .all(|condition| *condition)
            });
            prop_assert_eq!(permit.is_some(), expected);
            if let Some(permit) = permit {
                prop_assert_eq!(permit.format_id(), &requested);
                let protected = recording.is_some_and(|recording| recording.protected);
                prop_assert_eq!(permit.is_protected(), protection && protected);
            }
        }

        #[test]
        fn subjects_are_unique_for_each_format_of_each_recording(a in format_ids(), b in format_ids()) {
            prop_assert_eq!(a.subject() == b.subject(), a == b);
        }
    }

    #[test]
    fn unknown_recordings_are_not_found() {
        assert_eq!(
            PlaybackAccess::evaluate(format_id("r1", "video"), None, &TenantScope::All, false),
            PlaybackAccess::NotFound
        );
        assert_eq!(RecordingFormatId::parse("..", "video"), None);
        assert_eq!(RecordingFormatId::parse("r1", "../x"), None);
    }
}
