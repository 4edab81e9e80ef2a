//! All metrics: name, kind, labels and meaning of each, defined once. A name that was released is not changed: dashboards and alerts use it.

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It goes up and down.
    Gauge,
    /// It only grows, until the process starts anew.
    Counter,
    /// Durations by ranges.
    Histogram,
}

impl MetricKind {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// The definition of a metric.
#[derive(Clone, Copy, Debug)]
pub struct MetricDefinition {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// The heading under which the reference lists it.
    pub group: &'static str,
    /// What it says.
    pub help: &'static str,
}

macro_rules! metrics {
    ($(
        $group:literal {
            $( $(#[doc = $doc:literal])+ $id:ident = $kind:ident $name:literal [$($label:literal),*]; )+
        }
    )+) => {
        /// The metrics, by names that are checked when the program is built.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum MetricId {
            $($( $(#[doc = $doc])+ $id, )+)+
        }

        /// The definitions of all metrics, in the order of [`MetricId`].
        pub const DEFINITIONS: &[MetricDefinition] = &[$($( MetricDefinition {
            name: $name,
            kind: MetricKind::$kind,
            labels: &[$($label),*],
            group: $group,
            help: concat!($($doc),+),
        }, )+)+];
    };
}

metrics! {
    "Servers" {
        /// 1 for each server of the pool, with its id, BBB version and tag.
        ServerInfo = Gauge "scalelite_server_info" ["server", "id", "version", "tag"];
        /// Whether the server is online, as polls and heartbeats found it.
        ServerUp = Gauge "scalelite_server_up" ["server"];
        /// 1 for the state that an administrator has set (enabled, cordoned or disabled) and the state of health (online, suspect, offline or probation).
        ServerState = Gauge "scalelite_server_state" ["server", "state", "health"];
        /// Users in all meetings of the server, as the last poll counted them.
        ServerUsers = Gauge "scalelite_server_users" ["server"];
        /// Meetings of the server, breakout rooms included, as the last poll counted them.
        ServerMeetings = Gauge "scalelite_server_meetings" ["server"];
        /// Cameras in all meetings of the server, as the last poll counted them.
        ServerVideos = Gauge "scalelite_server_videos" ["server"];
        /// Users in the largest meeting of the server.
        ServerLargestMeeting = Gauge "scalelite_server_largest_meeting_users" ["server"];
        /// Users times load multiplier, those included that young meetings are expected to draw; absent while the server is not available.
        ServerLoad = Gauge "scalelite_server_load" ["server"];
        /// The highest load that is forecast for the next two hours; absent for a server that gets no new meetings.
        ServerForecastLoad = Gauge "scalelite_server_forecast_load" ["server"];
        /// The limit on users of the server; absent if it has none.
        ServerMaxUsers = Gauge "scalelite_server_max_users" ["server"];
        /// How long the last answered poll of the server by this process took.
        ServerPoll = Gauge "scalelite_server_poll_seconds" ["server"];
        /// Polls and creates that the server has failed, by kind: unreachable, timeout, foreign (what answered was not BBB), refused
        /// (mostly a wrong secret).
        ServerFailures = Counter "scalelite_server_failures_total" ["server", "kind"];
        /// How long creates took that the server answered.
        ServerCreates = Histogram "scalelite_server_create_seconds" ["server"];
    }
    "Pool" {
        /// Servers of the pool, by the state that administrators have set.
        PoolServers = Gauge "scalelite_pool_servers" ["state"];
        /// Servers that get new meetings: enabled and online.
        PoolServersAvailable = Gauge "scalelite_pool_servers_available" [];
        /// Planned drains that are not over, by how far they are.
        PoolDrains = Gauge "scalelite_pool_drains" ["phase"];
        /// Users on all servers; a server that is listed twice counts once.
        PoolUsers = Gauge "scalelite_pool_users" [];
        /// Meetings on all servers; a server that is listed twice counts once.
        PoolMeetings = Gauge "scalelite_pool_meetings" [];
        /// Cameras on all servers; a server that is listed twice counts once.
        PoolVideos = Gauge "scalelite_pool_videos" [];
        /// Further users that the servers with a limit on users can take, now (0m) and in 15, 30, 60 and 120 minutes as forecast; absent if no
        /// available server has such a limit.
        PoolFreePlaces = Gauge "scalelite_pool_free_places" ["ahead"];
        /// Users of the largest new meeting that fits on one server for the next two hours; absent if no available server has a limit on users.
        PoolLargestFit = Gauge "scalelite_pool_largest_meeting_users" [];
        /// Available servers without a limit on users, which the two metrics above leave out.
        PoolUnlimited = Gauge "scalelite_pool_servers_without_limit" [];
        /// How long ago the last poll cycle of any process began.
        PollAge = Gauge "scalelite_poll_age_seconds" [];
        /// How long the last poll cycle of this process took.
        PollCycle = Gauge "scalelite_poll_cycle_seconds" [];
        /// How long polls took that servers answered.
        Polls = Histogram "scalelite_poll_seconds" [];
    }
    "Events" {
        /// Creates that went on to another server, because one failed.
        Failovers = Counter "scalelite_create_failovers_total" [];
        /// Meetings of offline servers that were made anew when users joined (result made), or could not be (failed).
        Revivals = Counter "scalelite_revivals_total" ["result"];
        /// Copies of meetings that were ended because another copy was kept.
        DuplicatesEnded = Counter "scalelite_duplicate_meetings_ended_total" [];
        /// Meetings that unanswered creates had left and that were ended.
        LateEnds = Counter "scalelite_late_meetings_ended_total" [];
        /// Joins to suspect servers, which were asked first, and whether these answered: yes or no.
        SuspectJoins = Counter "scalelite_suspect_joins_total" ["answered"];
        /// Meetings that nobody here has created and that were recorded so that users can join them.
        Adoptions = Counter "scalelite_meetings_adopted_total" [];
        /// Servers that went online or offline, as this process polled them.
        HealthChanges = Counter "scalelite_server_changes_total" ["to"];
    }
    "Requests" {
        /// Requests that this process has answered, by call and result: ok, the key of the error, client_gone, or other for keys that servers chose.
        Requests = Counter "scalelite_requests_total" ["call", "result"];
        /// How long requests took.
        RequestSeconds = Histogram "scalelite_request_seconds" ["call"];
        /// Calls of a tenant by result: ok, checksum (mostly a wrong secret) or failed. The first 100 tenants by name have a label of their own,
        /// all further ones share `(other)`.
        TenantRequests = Counter "scalelite_tenant_requests_total" ["tenant", "result"];
        /// Users in the meetings of a tenant, by the last poll; labels as above.
        TenantUsers = Gauge "scalelite_tenant_users" ["tenant"];
        /// Recorded meetings of a tenant; labels as above.
        TenantMeetings = Gauge "scalelite_tenant_meetings" ["tenant"];
    }
    "Stores and health" {
        /// Whether the store can be read and written: state, and recordings if there is one.
        StoreUp = Gauge "scalelite_store_up" ["store"];
        /// How long that check took. It writes, so its time in the queue of writes is part of it.
        StoreCheck = Gauge "scalelite_store_check_seconds" ["store"];
        /// Whether a part of what the process needs can be used, as in /readyz.
        PartUsable = Gauge "scalelite_part_usable" ["part"];
        /// Whether a part needs attention although it can be used.
        PartWarning = Gauge "scalelite_part_warning" ["part"];
        /// Kinds of work of which threads hang, mostly because a file system does not answer.
        HangingWork = Gauge "scalelite_hanging_work" [];
        /// Free space of the file system of a directory.
        DirectoryFree = Gauge "scalelite_directory_free_bytes" ["directory"];
        /// Size of the file system of a directory.
        DirectorySize = Gauge "scalelite_directory_size_bytes" ["directory"];
        /// When the certificate of HTTPS ends, in seconds since 1970; absent without TLS.
        CertificateEnd = Gauge "scalelite_certificate_not_after_timestamp_seconds" [];
    }
    "Recordings and callbacks" {
        /// Recordings by state: published, unpublished or deleted.
        RecordingsByState = Gauge "scalelite_recordings" ["state"];
        /// Deleted recordings whose files are kept in the trash.
        Trashed = Gauge "scalelite_recordings_trashed" [];
        /// Archives of recordings by stage: received, importing, done, quarantined, aside.
        ArchivesByStage = Gauge "scalelite_archives" ["stage"];
        /// Size of these archives.
        ArchiveBytes = Gauge "scalelite_archives_bytes" ["stage"];
        /// How long ago the oldest archive was received that is not imported yet; 0 if there is none.
        OldestArchive = Gauge "scalelite_oldest_archive_age_seconds" [];
        /// Callbacks that are not delivered, by topic and state: waiting, failing (there will be another attempt), given_up.
        CallbacksByState = Gauge "scalelite_callbacks" ["topic", "state"];
        /// Meetings whose front-end wants to be told of the end.
        EndCallbacksOpen = Gauge "scalelite_end_callbacks" [];
        /// Attempts of this process to deliver a callback, by result: delivered or failed.
        CallbackAttempts = Counter "scalelite_callback_attempts_total" ["result"];
        /// Callbacks that this process has given up.
        CallbacksGivenUp = Counter "scalelite_callbacks_given_up_total" [];
    }
    "Process" {
        /// 1, with the version of the program.
        BuildInfo = Gauge "scalelite_build_info" ["version"];
        /// Lines of the log by level: error or warning.
        LogLines = Counter "scalelite_log_lines_total" ["level"];
        /// How late timers of the process fire: long times mean that it has too little processor time, or that work blocks it.
        LoopLag = Histogram "scalelite_event_loop_lag_seconds" [];
        /// How long it took to collect these numbers.
        ScrapeSeconds = Gauge "scalelite_scrape_seconds" [];
        /// Processor time used.
        ProcessCpu = Counter "process_cpu_seconds_total" [];
        /// Memory used.
        ProcessMemory = Gauge "process_resident_memory_bytes" [];
        /// Open files and sockets.
        ProcessFds = Gauge "process_open_fds" [];
        /// The limit on open files and sockets.
        ProcessMaxFds = Gauge "process_max_fds" [];
        /// Threads.
        ProcessThreads = Gauge "process_threads" [];
        /// When the process was started, in seconds since 1970.
        ProcessStart = Gauge "process_start_time_seconds" [];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_and_are_used_once() {
        for (index, definition) in DEFINITIONS.iter().enumerate() {
            let MetricDefinition { name, kind, help, .. } = *definition;
            let is_ours = name.starts_with("scalelite_") || name.starts_with("process_");
            assert!(is_ours, "{name}");
            assert_eq!(name.ends_with("_total"), kind == MetricKind::Counter, "{name}");
            assert!(kind != MetricKind::Histogram || name.ends_with("_seconds"), "{name}");
            assert!(help.starts_with(' ') && help.ends_with('.'), "{name}: {help}");
            assert!(DEFINITIONS[..index].iter().all(|other| other.name != name), "{name}");
        }
        assert_eq!(MetricId::ProcessStart as usize + 1, DEFINITIONS.len());
    }
}
