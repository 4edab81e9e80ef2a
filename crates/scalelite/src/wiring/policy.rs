//! The rules of the use cases, as the settings say them.

use app::policy::{DialInRules, Policy, RecordingRules};
use app::ports::CallTimeouts;
use bbb::Algorithm;
use domain::health::Thresholds;
use domain::load::LoadPolicy;
use domain::parameters::ParameterRules;
use domain::placement::PlacementRules;
use domain::poll::PollPolicy;
use domain::voice_bridge::VoiceBridgePolicy;

use super::{count, recordings};
use crate::config::Config;
use crate::config::values::{PublicHost, Secret};

/// Builds all rules.
pub(super) fn build_policy(config: &Config, secrets: Vec<String>) -> Policy {
    let rules = |exclude: &[String], defaults: &[_], overrides: &[_]| ParameterRules {
        exclude: exclude.to_vec(),
        defaults: defaults.to_vec(),
        overrides: overrides.to_vec(),
    };
    let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    Policy {
        dial_in: build_dial_in_rules(config, &secrets),
        secrets,
        algorithms: config.checksum_algorithm.unwrap_or_default(),
        signing_algorithm: config
            .checksum_algorithm
            .map_or(Algorithm::Sha256, bbb::Algorithms::strongest_algorithm),
        accepts_form_checksums: config.accept_form_checksums,
        url_host: config.url_host.as_ref().map(PublicHost::authority),
        tells_ends: config.end_callbacks.0 && config.url_host.is_some(),
        build_number: config.build_number.clone(),
        multitenancy: config.multitenancy_enabled,
        get_meetings_disabled: config.get_meetings_api_disabled,
        recording_disabled: config.recording_disabled,
        recordings: build_recording_rules(config),
        server_id_is_hostname: config.server_id_is_hostname,
        max_meeting_duration_min: config.max_meeting_duration.0,
        create_rules: rules(
            &config.create_exclude_params.0,
            &config.default_create_params.0,
            &config.override_create_params.0,
        ),
        join_rules: rules(
            &config.join_exclude_params.0,
            &config.default_join_params.0,
            &config.override_join_params.0,
        ),
        voice_bridge: build_voice_bridge_policy(config),
        poll: build_poll_policy(config),
        placement: PlacementRules {
            policy: config.placement_policy.0,
            untagged_may_use_tagged: config.untagged_may_use_tagged,
            max_tier_load: f64::from(config.tier_load_max.0),
        },
        history: config.placement_history.0,
        timeouts: CallTimeouts {
            connect_ms: config.connect_timeout.ms(),
            response_ms: config.response_timeout.ms(),
        },
        poll_timeout_ms: config.poller_wait_timeout.ms(),
        poll_concurrency: usize::try_from(config.poller_threads.0).unwrap_or(usize::MAX),
        max_duplicate_ends_per_hour: count(config.max_duplicate_ends_per_hour.0),
        max_listed_meetings: count(config.max_listed_meetings.0),
        max_list_bytes: usize::try_from(config.max_meeting_list_bytes.0).unwrap_or(usize::MAX),
        meeting_ttl_ms: ms(config.default_meeting_ttl.ms()),
        max_upload_ms: ms(config.request_timeout.ms()),
        revival_window_ms: i64::from(config.meeting_revival_window.0) * 1000,
    }
}

fn build_voice_bridge_policy(config: &Config) -> VoiceBridgePolicy {
    VoiceBridgePolicy {
        length: config.voice_bridge_len.0,
        min_length: config.voice_bridge_min.0,
        max_length: config.voice_bridge_max.0,
        use_external: config.use_external_voice_bridge,
    }
}

fn build_dial_in_rules(config: &Config, secrets: &[String]) -> DialInRules {
    let password = match &config.fsapi_password {
        Some(Secret(password)) => Some(password.clone()).filter(|password| !password.is_empty()),
        // A password of nothing admits nobody.
        None => Some(secrets.first().cloned().unwrap_or_default()),
    };
    let max_duration = config.fsapi_max_duration.unwrap_or(config.max_meeting_duration);
    DialInRules {
        password,
        max_duration_min: max_duration.0,
        max_wrong_pins: config.fsapi_max_wrong_pins.0,
    }
}

fn build_recording_rules(config: &Config) -> RecordingRules {
    let minutes = |minutes: u32| i64::from(minutes) * 60_000;
    RecordingRules {
        filter_required: config.get_recordings_api_filtered,
        protection_enabled: config.protected_recordings_enabled,
        token_lifetime_ms: minutes(config.protected_recordings_token_timeout.0),
        trash_ms: config.recording_trash_days.map(|days| minutes(days.0) * 24 * 60),
        retention: recordings::build_retention(config),
        forget_ms: config.recording_forget_days.map(|days| minutes(days.0) * 24 * 60),
    }
}

fn build_poll_policy(config: &Config) -> PollPolicy {
    let minutes = |minutes: u32| i64::from(minutes) * 60_000;
    PollPolicy {
        thresholds: Thresholds {
            healthy: config.server_healthy_threshold.0,
            unhealthy: config.server_unhealthy_threshold.0,
        },
        load: LoadPolicy {
            min_user_count: config.load_min_user_count.0,
            join_buffer_ms: minutes(config.load_join_buffer_time.0),
        },
        grace_ms: i64::from(config.meeting_grace.0) * 1000,
        max_adoptions: count(config.max_adoptions_per_hour.0),
    }
}
