//! Every setting, defined once: name, type, default and meaning. The names are the original's.

use std::path::PathBuf;

use bbb::Algorithms;

use super::sources::{SettingOrigin, Sources};
use super::values::{
    AtLeastOne, BindAddress, ByteCount, Count, Digits, Formats, GraceSeconds, HistorySetting,
    Hosts, LogFormat, LogLevel, Names, PairsSetting, PlacementPolicySetting, Seconds, Secret,
    SettingValue, StoreUrl,
};

/// What is known of a setting apart from its value.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Name in the environment.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// What it belongs to.
    pub group: &'static str,
    /// Its default, as text; empty for none.
    pub default: &'static str,
    /// What it accepts.
    pub accepts: &'static str,
    /// Whether its value is never shown.
    pub secret: bool,
    /// Whether it is on or off.
    pub switch: bool,
    /// What it does.
    pub doc: &'static str,
}

impl Setting {
    /// The flag of the command line, without dashes.
    pub fn flag(&self) -> String {
        let name = self.name.strip_prefix("SCALELITE_").unwrap_or(self.name);
        name.to_ascii_lowercase().replace('_', "-")
    }

    /// All names, the preferred one first.
    fn names(&self) -> Vec<&'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied()).collect()
    }
}

/// A setting with its value as text, for people to read.
#[derive(Clone, Debug)]
pub struct EffectiveSetting {
    /// Which one.
    pub setting: Setting,
    /// Its text; secrets are hidden.
    pub value: String,
    /// Where it came from.
    pub origin: SettingOrigin,
}

macro_rules! settings {
    ($(
        $group:literal {
            $( $(#[doc = $doc:literal])+ $field:ident: $type:ty = $name:literal $([$($alias:literal),+])? or $default:literal; )+
        }
    )+) => {
        /// All settings, typed.
        #[derive(Clone, Debug)]
        pub struct Config {
            $($( $(#[doc = $doc])+ pub $field: $type, )+)+
        }

        /// The table of all settings.
        pub const SETTINGS: &[Setting] = &[$($( Setting {
            name: $name,
            aliases: &[$($($alias),+)?],
            group: $group,
            default: $default,
            accepts: <$type as SettingValue>::ACCEPTS,
            secret: <$type as SettingValue>::SECRET,
            switch: <$type as SettingValue>::SWITCH,
            doc: concat!($($doc),+),
        }, )+)+];

        impl Config {
            /// Reads all settings; the list shows what was read and from where.
            ///
            /// # Errors
            /// One line that names the setting, its value (unless secret) and what is allowed.
            pub fn read(sources: &Sources) -> Result<(Self, Vec<EffectiveSetting>), String> {
                let mut shown = Vec::new();
                let mut settings = SETTINGS.iter();
                let config = Self {
                    $($( $field: read_setting(sources, settings.next(), &mut shown)?, )+)+
                };
                config.check()?;
                Ok((config, shown))
            }
        }
    };
}

fn read_setting<T: SettingValue>(
    sources: &Sources,
    setting: Option<&Setting>,
    shown: &mut Vec<EffectiveSetting>,
) -> Result<T, String> {
    let setting = *setting.ok_or("settings and their table differ")?;
    let found = sources.find(&setting.names(), setting.secret)?;
    let (text, origin) =
        found.unwrap_or_else(|| (setting.default.to_owned(), SettingOrigin::Default));
    let value = T::read(&text).ok_or_else(|| {
        let given = if setting.secret { "***" } else { text.as_str() };
        format!("{}: `{given}` is not allowed, it must be {}", setting.name, setting.accepts)
    })?;
    let hidden = setting.secret && !text.is_empty();
    let value_shown = if hidden { "***".to_owned() } else { text };
    shown.push(EffectiveSetting { setting, value: value_shown, origin });
    Ok(value)
}

settings! {
    "Front-ends" {
        /// The secret that front-ends share with the balancer.
        /// Without one, a secret is made on the first start and kept in the data directory.
        loadbalancer_secret: Option<Secret> = "LOADBALANCER_SECRET" or "";
        /// Further secrets, separated by colons. Any of them may sign a call.
        loadbalancer_secrets: Option<Secret> = "LOADBALANCER_SECRETS" or "";
        /// Checksum algorithms that front-ends may use.
        /// If it is set, calls to servers are signed with the strongest of them, else with SHA256.
        checksum_algorithm: Option<Algorithms> = "LOADBALANCER_CHECKSUM_ALGORITHM" or "";
        /// The host name of the balancer. Requests for another one are refused with 403,
        /// except /health_check. Unset: any host is served.
        url_host: Option<String> = "URL_HOST" or "";
        /// Shown as `build` in the version document.
        build_number: Option<String> = "BUILD_NUMBER" or "";
        /// getMeetings answers an empty list.
        get_meetings_api_disabled: bool = "GET_MEETINGS_API_DISABLED" or "false";
    }
    "Listening" {
        /// The port to listen on, on all addresses; 0 takes a free one.
        port: u16 = "PORT" or "3000";
        /// Where to listen instead, without TLS.
        bind: Option<BindAddress> = "BIND" or "";
        /// Open connections at most; more wait.
        max_connections: AtLeastOne = "MAX_CONNECTIONS" or "4096";
        /// Longest body of a request, in bytes. Slides are streamed, never held whole.
        max_body_bytes: ByteCount = "MAX_BODY_BYTES" or "134217728";
        /// The most that a request may take, uploads included, in seconds.
        request_timeout: Seconds = "REQUEST_TIMEOUT" or "300";
        /// How long a connection may be idle, or take to send the head of a request, in seconds.
        /// Longer than the keep-alive time of the proxy in front, so that it is the proxy that closes.
        idle_timeout: Seconds = "IDLE_TIMEOUT" or "75";
        /// After SIGTERM, how long requests in flight may take to finish, in seconds.
        shutdown_timeout: Seconds = "SHUTDOWN_TIMEOUT" or "20";
    }
    "Store" {
        /// Where the embedded store and the generated secret are kept.
        /// Unset: /var/lib/scalelite if it is writable, else ./scalelite-data.
        data_dir: Option<PathBuf> = "SCALELITE_DATA_DIR" or "";
        /// How long a meeting is remembered that no server confirms, in seconds.
        default_meeting_ttl: Seconds = "DEFAULT_MEETING_TTL" or "86400";
        /// The Redis that holds servers, meetings and tenants, e.g. redis://:password@host:6379/0,
        /// rediss:// for TLS, unix:///socket, redis+sentinel://host,host/master.
        /// Unset: what redis_store.yml says, else PostgreSQL if there is one, else the embedded store.
        redis_url: Option<StoreUrl> = "REDIS_URL" or "";
        /// What all keys in Redis begin with.
        redis_namespace: String = "REDIS_NAMESPACE" or "scalelite";
        /// Connections to Redis at most.
        redis_pool: AtLeastOne = "REDIS_POOL" or "5";
        /// The PostgreSQL that holds recordings, and without Redis all the rest, e.g.
        /// postgresql://user:password@host:5432/scalelite?sslmode=verify-full.
        /// Unset: what database.yml says, else the embedded store.
        database_url: Option<StoreUrl> = "DATABASE_URL" or "";
        /// Connections to PostgreSQL at most, two at least. A pool in the URL wins.
        database_pool: AtLeastOne = "DATABASE_POOL" or "10";
        /// The most that a statement in PostgreSQL may take, in seconds.
        database_statement_timeout: Seconds = "DATABASE_STATEMENT_TIMEOUT" or "5";
        /// No database: DATABASE_URL is ignored and recordings are kept nowhere.
        db_disabled: bool = "DB_DISABLED" or "false";
        /// Where redis_store.yml and database.yml of an existing deployment are looked for.
        config_dir: PathBuf = "SCALELITE_CONFIG_DIR" or "config";
    }
    "Servers and polling" {
        /// Time between two polls of all servers, in seconds.
        poll_interval: Seconds = "POLL_INTERVAL" ["INTERVAL"] or "60";
        /// Servers that are polled at the same time.
        poller_threads: AtLeastOne = "POLLER_THREADS" or "50";
        /// The most that a poll of one server may take, in seconds.
        poller_wait_timeout: Seconds = "POLLER_WAIT_TIMEOUT" or "10";
        /// Time for connecting to a server, in seconds; a tenth of it (at least 0.2) if it is offline.
        connect_timeout: Seconds = "CONNECT_TIMEOUT" or "5";
        /// Time for a server's answer, in seconds; a tenth of it (at least 0.5) if it is offline.
        response_timeout: Seconds = "RESPONSE_TIMEOUT" or "10";
        /// Connections to one server at most; more calls wait.
        max_connections_per_server: AtLeastOne = "MAX_CONNECTIONS_PER_SERVER" or "100";
        /// Good polls in a row that bring an offline server online.
        server_healthy_threshold: AtLeastOne = "SERVER_HEALTHY_THRESHOLD" or "1";
        /// Failed polls in a row that take an online server offline.
        server_unhealthy_threshold: AtLeastOne = "SERVER_UNHEALTHY_THRESHOLD" or "2";
        /// Seats that are reserved for a new meeting, and that a young one counts at least.
        load_min_user_count: Count = "LOAD_MIN_USER_COUNT" or "15";
        /// How long a meeting is young, in minutes.
        load_join_buffer_time: Count = "LOAD_JOIN_BUFFER_TIME" or "15";
        /// For so long after it was placed, in seconds, a meeting is not forgotten although its server
        /// does not report it, and is not settled if it turns up on two servers. After that, two good
        /// polls without it forget it.
        meeting_grace: GraceSeconds = "MEETING_GRACE" or "30";
        /// New servers are named by the host of their URL.
        server_id_is_hostname: bool = "SERVER_ID_IS_HOSTNAME" or "false";
    }
    "Placement" {
        /// How servers are compared for a new meeting. forecast: by the seats that they will have to give in
        /// the next two hours, as far as the history of meetings tells. reserve: by load and expected seats.
        /// scalelite: by load, as the original does.
        placement_policy: PlacementPolicySetting = "PLACEMENT_POLICY" or "forecast";
        /// What is kept of meetings that have ended, for eight weeks: on keeps meeting IDs, times and sizes;
        /// pseudonymous keeps a hash of the IDs; off keeps nothing.
        placement_history: HistorySetting = "PLACEMENT_HISTORY" or "on";
        /// Requests without a tag may use tagged servers if all servers are tagged.
        untagged_may_use_tagged: bool = "UNTAGGED_MAY_USE_TAGGED" or "false";
        /// Load of the least loaded server above which servers of the next tier are used as well.
        tier_load_max: Count = "TIER_LOAD_MAX" or "150";
    }
    "Parameters of create and join" {
        /// Longest duration of a meeting, in minutes. Meetings that ask for more, or for none, get this.
        max_meeting_duration: Option<AtLeastOne> = "MAX_MEETING_DURATION" or "";
        /// Parameters of create that are dropped.
        create_exclude_params: Names = "CREATE_EXCLUDE_PARAMS" or "";
        /// Parameters of join that are dropped.
        join_exclude_params: Names = "JOIN_EXCLUDE_PARAMS" or "";
        /// Parameters of create for requests that leave them out.
        default_create_params: PairsSetting = "DEFAULT_CREATE_PARAMS" or "";
        /// Parameters of create that win over the request.
        override_create_params: PairsSetting = "OVERRIDE_CREATE_PARAMS" or "";
        /// Parameters of join for requests that leave them out.
        default_join_params: PairsSetting = "DEFAULT_JOIN_PARAMS" or "";
        /// Parameters of join that win over the request.
        override_join_params: PairsSetting = "OVERRIDE_JOIN_PARAMS" or "";
        /// Digits of the voice bridges that are made for meetings.
        voice_bridge_len: Digits = "VOICE_BRIDGE_LEN" or "9";
        /// Fewest digits of a voice bridge given by a front-end.
        voice_bridge_min: Digits = "VOICE_BRIDGE_MIN" or "5";
        /// Most digits of a voice bridge given by a front-end.
        voice_bridge_max: Digits = "VOICE_BRIDGE_MAX" or "9";
        /// The voice bridge that a front-end gives is tried first.
        use_external_voice_bridge: bool = "USE_EXTERNAL_VOICE_BRIDGE" or "false";
    }
    "Recordings" {
        /// getRecordings answers an empty list, the other calls notFound.
        recording_disabled: bool = "RECORDING_DISABLED" or "false";
        /// Where archives of recordings arrive: from BBB servers by rsync or a shared file system, or by upload.
        recording_spool_dir: PathBuf = "RECORDING_SPOOL_DIR" or "/var/bigbluebutton/spool";
        /// Where archives are unpacked; best on the file system of the two below.
        recording_work_dir: PathBuf = "RECORDING_WORK_DIR" or "/var/bigbluebutton/recording/scalelite";
        /// Where the files of published recordings are kept.
        recording_publish_dir: PathBuf = "RECORDING_PUBLISH_DIR" or "/var/bigbluebutton/published";
        /// Where the files of unpublished recordings are kept.
        recording_unpublish_dir: PathBuf = "RECORDING_UNPUBLISH_DIR" or "/var/bigbluebutton/unpublished";
        /// Where archives that cannot be imported are put aside. Unset: quarantine in RECORDING_WORK_DIR.
        recording_quarantine_dir: Option<PathBuf> = "RECORDING_QUARANTINE_DIR" or "";
        /// The spool is looked at in every interval; false: when something arrives, and every ten minutes.
        recording_import_poll: bool = "RECORDING_IMPORT_POLL" or "true";
        /// Time between two looks at the spool, in seconds.
        recording_import_poll_interval: Seconds = "RECORDING_IMPORT_POLL_INTERVAL" or "60";
        /// Recordings are unpublished when they arrive, whatever their metadata says.
        recording_import_unpublished: bool = "RECORDING_IMPORT_UNPUBLISHED" or "false";
        /// Recordings are protected when they arrive, and can be protected by updateRecordings.
        protected_recordings_enabled: bool = "PROTECTED_RECORDINGS_ENABLED" or "false";
        /// Longest archive that a BBB server may upload, in bytes.
        recording_upload_max_bytes: ByteCount = "RECORDING_UPLOAD_MAX_BYTES" or "53687091200";
        /// How long a link to a protected recording that getRecordings gives opens it once, in minutes.
        protected_recordings_token_timeout: AtLeastOne = "PROTECTED_RECORDINGS_TOKEN_TIMEOUT" or "60";
        /// getRecordings answers only calls that name recordings or meetings.
        get_recordings_api_filtered: bool = "GET_RECORDINGS_API_FILTERED" or "false";
        /// How many days the files of deleted recordings are kept, so that `recordings restore` can bring them back; 0:
        /// they are removed at once.
        recording_trash_days: Count = "RECORDING_TRASH_DAYS" or "0";
        /// Where they are kept meanwhile, best on the file system of the published ones. Unset: `deleted` beside
        /// RECORDING_PUBLISH_DIR.
        recording_trash_dir: Option<PathBuf> = "RECORDING_TRASH_DIR" or "";
        /// Recordings whose meetings ended so many days ago are deleted, every day; 0: never.
        recording_retention_days: Count = "RECORDING_RETENTION_DAYS" or "0";
        /// Only those of this tenant, by its id.
        recording_retention_tenant: Option<String> = "RECORDING_RETENTION_TENANT" or "";
        /// Only those with all of this metadata, e.g. `category=draft,gl-listed=false`; `%` at either end of a value
        /// stands for anything.
        recording_retention_metadata: Option<PairsSetting> = "RECORDING_RETENTION_METADATA" or "";
        /// Deleted recordings are forgotten after so many days: an archive that comes again is then imported again.
        /// Unset: never.
        recording_forget_days: Option<AtLeastOne> = "RECORDING_FORGET_DAYS" or "";
    }
    "Playback" {
        /// Formats whose files are served below /<format>/, separated by colons.
        recording_playback_formats: Formats = "RECORDING_PLAYBACK_FORMATS" or "presentation:video:screenshare:podcast:notes:capture";
        /// How long somebody who came with a one-time token may watch a protected recording, in minutes.
        protected_recordings_timeout: AtLeastOne = "PROTECTED_RECORDINGS_TIMEOUT" or "360";
        /// Signs the cookies with which protected recordings are watched.
        /// Unset: a secret is made on the first start and kept in the data directory; on shared stores there is none,
        /// and protected recordings need one.
        secret_key_base: Option<Secret> = "SECRET_KEY_BASE" or "";
        /// The directory of BBB's player, served as /playback/presentation/2.3/. Unset: a plain page
        /// plays the videos of a presentation.
        playback_player_dir: Option<PathBuf> = "PLAYBACK_PLAYER_DIR" or "";
        /// A web server in front sends the files when X-Accel-Redirect tells it to (/static-resource/…), and the
        /// player's: set this if the original's nginx stays.
        playback_x_accel: bool = "PLAYBACK_X_ACCEL" or "false";
        /// The language of the page for recordings that are not there: de, en, es, fr, or one in LOCALES_DIR.
        default_locale: String = "DEFAULT_LOCALE" or "en";
        /// A directory with words for that page, <language>.yml.
        locales_dir: Option<PathBuf> = "LOCALES_DIR" or "";
        /// A CloudFront distribution to which the pages of recordings are redirected, e.g. https://cdn.example.org.
        cloudfront_url: Option<String> = "CLOUDFRONT_URL" or "";
        /// The id of its key.
        cf_key_pair_id: Option<String> = "CF_KEY_PAIR_ID" or "";
        /// The RSA key that signs cookies for it: PEM, in base64.
        cf_private_key_b64: Option<Secret> = "CF_PRIVATE_KEY_B64" or "";
    }
    "Recordings in S3" {
        /// The files of recordings are kept in a bucket instead of the two directories.
        s3_recording: bool = "S3_RECORDING" or "false";
        /// The bucket. Files are below published/ and unpublished/, and in the trash below deleted/.
        s3_bucket_name: Option<String> = "S3_BUCKET_NAME" or "";
        /// The access key.
        aws_access_key_id: Option<String> = "AWS_ACCESS_KEY_ID" or "";
        /// Its secret.
        aws_secret_access_key: Option<Secret> = "AWS_SECRET_ACCESS_KEY" or "";
        /// The token of a key that is good for a while only.
        aws_session_token: Option<Secret> = "AWS_SESSION_TOKEN" or "";
        /// The region.
        aws_region: String = "AWS_REGION" ["AWS_DEFAULT_REGION"] or "us-east-1";
        /// Another S3 than Amazon's, e.g. http://minio:9000; the bucket then stands in the path.
        aws_endpoint_url: Option<String> = "AWS_ENDPOINT_URL" ["AWS_ENDPOINT_URL_S3"] or "";
    }
    "Tenants" {
        /// Every call is a tenant's. The first label of the host names it (acme.URL_HOST: acme), its secrets
        /// sign the call, and it sees only its own meetings.
        multitenancy_enabled: bool = "MULTITENANCY_ENABLED" or "false";
    }
    "Callbacks" {
        /// Where callbacks of front-ends may lead although it is not the public Internet: host names (.campus.example
        /// for all below), addresses and networks.
        callback_allow: Hosts = "CALLBACK_ALLOW" or "";
    }
    "Logging" {
        /// How much is logged. RUST_LOG, if set, wins and can be finer.
        log_level: LogLevel = "RAILS_LOG_LEVEL" ["LOG_LEVEL"] or "info";
        /// How the log is written, to the standard error output.
        log_format: LogFormat = "LOG_FORMAT" or "text";
    }
}

impl Config {
    /// What no single setting can know.
    fn check(&self) -> Result<(), String> {
        if self.voice_bridge_min.0 > self.voice_bridge_max.0 {
            return Err(format!(
                "VOICE_BRIDGE_MIN: `{}` is not allowed, it must be at most VOICE_BRIDGE_MAX ({})",
                self.voice_bridge_min.0, self.voice_bridge_max.0
            ));
        }
        let cdn = [
            ("CLOUDFRONT_URL", self.cloudfront_url.is_some()),
            ("CF_KEY_PAIR_ID", self.cf_key_pair_id.is_some()),
            ("CF_PRIVATE_KEY_B64", self.cf_private_key_b64.is_some()),
        ];
        if cdn.iter().any(|(_, is_set)| *is_set) {
            require_all_set(&cdn, "the others of CloudFront")?;
        }
        if self.s3_recording {
            let needed = [
                ("S3_BUCKET_NAME", self.s3_bucket_name.is_some()),
                ("AWS_ACCESS_KEY_ID", self.aws_access_key_id.is_some()),
                ("AWS_SECRET_ACCESS_KEY", self.aws_secret_access_key.is_some()),
            ];
            require_all_set(&needed, "S3_RECORDING")?;
        }
        Ok(())
    }
}

/// Settings that go together.
fn require_all_set(needed: &[(&str, bool)], by: &str) -> Result<(), String> {
    match needed.iter().find(|(_, is_set)| !is_set) {
        Some((name, _)) => Err(format!("{name}: it must be set, {by} needs it")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ignored_settings::{NOT_IMPLEMENTED, WITHOUT_EFFECT};

    fn read(variables: &[(&str, &str)]) -> Result<(Config, Vec<EffectiveSetting>), String> {
        Config::read(&Sources::from_variables(variables))
    }

    #[test]
    fn defaults_are_accepted_and_empty_counts_as_unset() {
        let (config, shown) = read(&[("PORT", ""), ("BIND", "")]).unwrap();
        assert_eq!((config.port, config.bind), (3000, None));
        assert_eq!(shown.len(), SETTINGS.len());
        assert!(shown.iter().all(|one| one.origin == SettingOrigin::Default));
    }

    #[test]
    fn a_wrong_value_is_named_with_what_is_allowed() {
        let error = read(&[("CONNECT_TIMEOUT", "soon")]).unwrap_err();
        assert_eq!(
            error,
            "CONNECT_TIMEOUT: `soon` is not allowed, it must be a number of seconds greater than 0 \
             and at most 31536000"
        );
        let error = read(&[("VOICE_BRIDGE_MIN", "9"), ("VOICE_BRIDGE_MAX", "8")]).unwrap_err();
        assert!(error.contains("VOICE_BRIDGE_MIN"), "{error}");
    }

    #[test]
    fn secrets_are_hidden_and_may_come_from_files() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from-file\n").unwrap();
        let path = file.path().to_str().unwrap();
        let (config, shown) =
            read(&[("LOADBALANCER_SECRET_FILE", path), ("LOADBALANCER_SECRETS", "a:b")]).unwrap();
        assert_eq!(config.loadbalancer_secret, Some(Secret("from-file".to_owned())));
        assert!(!format!("{config:?}{shown:?}").contains("from-file"));
        let error = read(&[("LOADBALANCER_SECRET", " hidden")]).unwrap_err();
        assert!(!error.contains("hidden"));
    }

    #[test]
    fn aliases_count_after_the_name() {
        assert_eq!(read(&[("INTERVAL", "5")]).unwrap().0.poll_interval, Seconds(5.0));
        let both = read(&[("INTERVAL", "5"), ("POLL_INTERVAL", "6")]).unwrap().0;
        assert_eq!(both.poll_interval, Seconds(6.0));
    }

    #[test]
    fn no_name_is_used_twice() {
        let own = SETTINGS.iter().flat_map(Setting::names);
        let none = WITHOUT_EFFECT.iter().map(|(name, _)| *name);
        let mut names: Vec<_> = own.chain(none).chain(NOT_IMPLEMENTED.iter().copied()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
