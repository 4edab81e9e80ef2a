//! All settings: name, type, default and meaning of each, defined once. Settings that the original has as well keep
//! its names.

use std::path::PathBuf;

use bbb::Algorithms;

use super::reading::{EffectiveSetting, read_setting};
use super::recording_values::{ByteReserve, Dirs, SecurityPolicy};
pub use super::setting::Setting;
use super::setting::settings;
use super::sources::Sources;
use super::values::{
    AcmeChallenges, AtLeastOne, BindAddress, ByteCount, Count, Digits, EndCallbacksSetting,
    Formats, GraceSeconds, HistorySetting, Hosts, LogFormat, LogLevel, MinuteLimit, Names,
    PairsSetting, PlacementPolicySetting, ProxyAddresses, PublicHost, QuietHoursSetting, Seconds,
    Secret, SettingValue, StoreUrl, Threshold,
};

settings! {
    "Front-ends" {
        /// The secret that front-ends share with the balancer. Unset: a secret is generated on first start and kept in the data directory.
        loadbalancer_secret: Option<Secret> = "LOADBALANCER_SECRET" or "";
        /// Additional secrets, separated by colons. Each of them may sign calls.
        loadbalancer_secrets: Option<Secret> = "LOADBALANCER_SECRETS" or "";
        /// Checksum algorithms that front-ends may use. If set, calls to servers are signed with the strongest of them, otherwise with SHA256.
        checksum_algorithm: Option<Algorithms> = "LOADBALANCER_CHECKSUM_ALGORITHM" or "";
        /// A POST whose parameters are in a form may also be signed over these, sorted by name, as BBB 2.4 to 2.7.7 required it;
        /// for front-ends that cannot sign otherwise.
        accept_form_checksums: bool = "ACCEPT_FORM_CHECKSUMS" or "false";
        /// The host name of the balancer, with a port if front-ends reach it at another port than 443.
        /// Requests for other host names are refused with 403, except /health_check. Unset: all host names are served.
        url_host: Option<PublicHost> = "URL_HOST" or "";
        /// Shown as `build` in the version document.
        build_number: Option<String> = "BUILD_NUMBER" or "";
        /// getMeetings always returns an empty list.
        get_meetings_api_disabled: bool = "GET_MEETINGS_API_DISABLED" or "false";
    }
    "Listening" {
        /// The port to listen on, on all addresses; 0 selects a free port.
        port: u16 = "PORT" or "3000";
        /// The address to listen on instead of all addresses, without TLS.
        bind: Option<BindAddress> = "BIND" or "";
        /// Addresses and networks of the reverse proxies in front; `unix` stands for proxies that connect to a Unix socket. What they say of their
        /// clients is believed: X-Forwarded-For, -Proto and -Host, Forwarded, and the PROXY protocol. Unset: nobody is believed, except that
        /// anybody may say by X-Forwarded-Proto that the client uses HTTPS, as with the original.
        trusted_proxies: Option<ProxyAddresses> = "TRUSTED_PROXIES" or "";
        /// Maximum number of requests that are answered at the same time; further ones wait, health checks do not. A sixteenth more
        /// connections may be open (16 at least); beyond that, those that wait for their client are closed, the oldest of the address with the
        /// most connections first.
        max_connections: AtLeastOne = "MAX_CONNECTIONS" or "4096";
        /// Maximum number of connections of one address (IPv6: of a /64 network). For a further one, its oldest connection that has been idle
        /// for a second is closed, or the further one waits. 0: three quarters of MAX_CONNECTIONS. A proxy of
        /// TRUSTED_PROXIES may have three quarters, and this many requests of each of its clients are answered at the same time.
        max_connections_per_address: Count = "MAX_CONNECTIONS_PER_ADDRESS" or "0";
        /// Memory for requests whose sender has not proven who it is (forms with a checksum, long heads), in bytes. One address gets a quarter of it.
        max_unproven_bytes: ByteCount = "MAX_UNPROVEN_BYTES" or "67108864";
        /// Memory for the bodies of all other requests, in bytes. Slides and archives are streamed and take none.
        max_buffered_bytes: ByteCount = "MAX_BUFFERED_BYTES" or "268435456";
        /// Longest request body, in bytes. Slides are streamed, not buffered.
        max_body_bytes: ByteCount = "MAX_BODY_BYTES" or "134217728";
        /// Longest duration of a request, uploads included, in seconds.
        request_timeout: Seconds = "REQUEST_TIMEOUT" or "300";
        /// How long a connection may be idle, or take to send the head of a request, in seconds.
        /// It should exceed the keep-alive time of the reverse proxy, so that the proxy closes connections.
        idle_timeout: Seconds = "IDLE_TIMEOUT" or "75";
        /// How long open requests may take to finish after SIGTERM, in seconds.
        shutdown_timeout: Seconds = "SHUTDOWN_TIMEOUT" or "20";
    }
    "TLS" {
        /// The certificate with its chain, in PEM format. If it is set, HTTPS is served on TLS_PORT, besides the plain port. Looked at every
        /// three seconds.
        tls_cert: Option<PathBuf> = "TLS_CERT" or "";
        /// The private key of the certificate, in PEM format, without a password.
        tls_key: Option<PathBuf> = "TLS_KEY" or "";
        /// The port of HTTPS; 0 selects a free port.
        tls_port: u16 = "TLS_PORT" or "443";
        /// The address of HTTPS instead of all addresses.
        tls_bind: Option<BindAddress> = "TLS_BIND" or "";
        /// Whether HTTP/2 is offered over TLS.
        tls_http2: bool = "TLS_HTTP2" or "true";
        /// Redirect requests at the plain port to HTTPS, health checks excepted.
        https_redirect: bool = "HTTPS_REDIRECT" or "false";
        /// For how many seconds browsers use nothing but HTTPS for this host (Strict-Transport-Security). 0: they are not told.
        hsts_max_age: Count = "HSTS_MAX_AGE" or "0";
        /// Get and renew the certificate by ACME, which accepts the authority's terms of service, and serve HTTPS with it.
        acme: bool = "ACME" or "false";
        /// Mail addresses for the authority.
        acme_contact: Option<Names> = "ACME_CONTACT" or "";
        /// URL of the authority's directory.
        acme_directory: String = "ACME_DIRECTORY" or "https://acme-v02.api.letsencrypt.org/directory";
        /// The hosts of the certificate. Unset: URL_HOST and PLAYBACK_HOST.
        acme_hosts: Option<Names> = "ACME_HOSTS" or "";
        /// How the authority checks the hosts: at port 443 (tls-alpn-01), at port 80 (http-01), or the one and, after a failure, the other (auto).
        acme_challenge: AcmeChallenges = "ACME_CHALLENGE" or "auto";
        /// Authorities (PEM) that the authority's own HTTPS is checked with, besides those of the machine.
        acme_ca_file: Option<PathBuf> = "ACME_CA_FILE" or "";
        /// Identifier and key (base64url) of an account that the authority has elsewhere.
        acme_eab_key_id: Option<Secret> = "ACME_EAB_KEY_ID" or "";
        /// The key that belongs to ACME_EAB_KEY_ID.
        acme_eab_key: Option<Secret> = "ACME_EAB_KEY" or "";
    }
    "Management API" {
        /// Whether the management API (/scalelite/api/) exists.
        management_api_enabled: bool = "MANAGEMENT_API_ENABLED" or "true";
        /// The address on which the management API is served, with a health check that tells the reason of a failure; it is then not
        /// served where front-ends are. Unset: it is served where front-ends are, as in the original.
        management_bind: Option<BindAddress> = "MANAGEMENT_BIND" or "";
        /// Whether administrators have the console, pages at /scalelite/, where the management API is served.
        console_enabled: bool = "CONSOLE_ENABLED" or "true";
        /// The secret that signs calls of the management API. Unset: the secrets of the front-ends, as in the original.
        management_secret: Option<Secret> = "MANAGEMENT_SECRET" or "";
        /// A secret that signs such calls as well, and whose responses show the secrets of servers and tenants. If this or
        /// MANAGEMENT_SECRET is set, the responses to all others show *** instead.
        management_reveal_secret: Option<Secret> = "MANAGEMENT_REVEAL_SECRET" or "";
        /// Accept only calls of the management API whose token signs body, time and a nonce.
        management_require_tokens: bool = "MANAGEMENT_REQUIRE_TOKENS" or "false";
    }
    "Audit" {
        /// Who has changed what is kept for this many days, and the newest 50,000 changes at most.
        audit_keep_days: AtLeastOne = "AUDIT_KEEP_DAYS" or "400";
    }
    "Metrics" {
        /// The address on which Prometheus may ask for metrics (/metrics), with a port of its own. Every process has one, whatever its roles. Not
        /// encrypted: use an address that only the monitoring system reaches. Unset: there is none.
        metrics_bind: Option<BindAddress> = "METRICS_BIND" or "";
        /// The token that must be shown for metrics (Authorization: Bearer TOKEN). If it is set, they are also served where front-ends are, at
        /// /scalelite/metrics.
        metrics_token: Option<Secret> = "METRICS_TOKEN" or "";
    }
    "Log" {
        /// The socket of the system's log, to which commands report what they change, and who called them. Unset: they do not.
        command_log: Option<PathBuf> = "COMMAND_LOG" or "/dev/log";
    }
    "Store" {
        /// Directory of the embedded store and the generated secret. Unset: /var/lib/scalelite if it is writable, otherwise ./scalelite-data.
        data_dir: Option<PathBuf> = "SCALELITE_DATA_DIR" or "";
        /// How long a meeting is kept that no server reports, in seconds.
        default_meeting_ttl: Seconds = "DEFAULT_MEETING_TTL" or "86400";
        /// URL of the Redis that stores servers, meetings and tenants, e.g. redis://:password@host:6379/0,
        /// rediss:// for TLS, unix:///socket, redis+sentinel://host,host/master.
        /// Unset: the address in redis_store.yml, otherwise PostgreSQL if it is configured, otherwise the embedded store.
        redis_url: Option<StoreUrl> = "REDIS_URL" or "";
        /// Prefix of all keys in Redis.
        redis_namespace: String = "REDIS_NAMESPACE" or "scalelite";
        /// Maximum number of connections to Redis.
        redis_pool: AtLeastOne = "REDIS_POOL" or "5";
        /// URL of the PostgreSQL that stores recordings and, without Redis, everything else, e.g.
        /// postgresql://user:password@host:5432/scalelite?sslmode=verify-full. Unset: the address in database.yml, otherwise the embedded store.
        database_url: Option<StoreUrl> = "DATABASE_URL" or "";
        /// Maximum number of connections to PostgreSQL, at least 2. A pool size in the URL overrides it.
        database_pool: AtLeastOne = "DATABASE_POOL" or "10";
        /// Longest duration of a statement in PostgreSQL, in seconds.
        database_statement_timeout: Seconds = "DATABASE_STATEMENT_TIMEOUT" or "5";
        /// Use no database: DATABASE_URL is ignored and recordings are not stored.
        db_disabled: bool = "DB_DISABLED" or "false";
        /// Directory with the redis_store.yml and database.yml of an existing deployment.
        config_dir: PathBuf = "SCALELITE_CONFIG_DIR" or "config";
    }
    "Servers and polling" {
        /// Time between two polls of all servers, in seconds.
        poll_interval: Seconds = "POLL_INTERVAL" ["INTERVAL"] or "60";
        /// Time between two heartbeats of each server, in seconds; 0: none. A heartbeat is a small request between polls: when one
        /// fails, or an offline server answers one, the server is polled at once.
        heartbeat_interval: GraceSeconds = "HEARTBEAT_INTERVAL" or "5";
        /// Number of servers that are polled at the same time.
        poller_threads: AtLeastOne = "POLLER_THREADS" or "50";
        /// Longest duration of the poll of one server, in seconds.
        poller_wait_timeout: Seconds = "POLLER_WAIT_TIMEOUT" or "10";
        /// Timeout for connecting to a server, in seconds; a tenth of it (at least 0.2) if the server is offline.
        connect_timeout: Seconds = "CONNECT_TIMEOUT" or "5";
        /// Timeout for the response of a server, in seconds. A create waits so long as well, as long as its server answers smaller
        /// requests meanwhile.
        response_timeout: Seconds = "RESPONSE_TIMEOUT" or "10";
        /// Maximum number of connections to one server; further calls wait.
        max_connections_per_server: AtLeastOne = "MAX_CONNECTIONS_PER_SERVER" or "100";
        /// Successful polls in a row after which an offline server is online.
        server_healthy_threshold: Threshold = "SERVER_HEALTHY_THRESHOLD" or "1";
        /// Failed polls in a row after which an online server is offline.
        server_unhealthy_threshold: Threshold = "SERVER_UNHEALTHY_THRESHOLD" or "2";
        /// Expected users of a new meeting; a young meeting counts as at least this many users.
        load_min_user_count: Count = "LOAD_MIN_USER_COUNT" or "15";
        /// How long a meeting counts as young, in minutes.
        load_join_buffer_time: Count = "LOAD_JOIN_BUFFER_TIME" or "15";
        /// Grace period after placement, in seconds: a meeting is kept although its server does not report it,
        /// and duplicates are not ended. After that, two successful polls without the meeting remove it.
        meeting_grace: GraceSeconds = "MEETING_GRACE" or "30";
        /// How long after its server last reported it a meeting is made anew on another server, when a user joins and its server is
        /// offline, in seconds; 0: never.
        meeting_revival_window: GraceSeconds = "MEETING_REVIVAL_WINDOW" or "3600";
        /// Most meetings in the list of one server. A server that lists more has failed its poll.
        max_listed_meetings: AtLeastOne = "MAX_LISTED_MEETINGS" or "10000";
        /// Longest list of meetings of one server, in bytes. A server that sends more has failed its poll.
        max_meeting_list_bytes: ByteCount = "MAX_MEETING_LIST_BYTES" or "16777216";
        /// Most meetings that are adopted from one server within an hour: meetings that run there, that no create of this
        /// deployment is known to have made, and that are recorded so that users can join them. A server with more is suspect.
        max_adoptions_per_hour: Count = "MAX_ADOPTIONS_PER_HOUR" or "500";
        /// Most duplicates of meetings that are ended within an hour because of what one server reports.
        max_duplicate_ends_per_hour: Count = "MAX_DUPLICATE_ENDS_PER_HOUR" or "100";
        /// The host of a new server's URL becomes its id.
        server_id_is_hostname: bool = "SERVER_ID_IS_HOSTNAME" or "false";
    }
    "Placement" {
        /// How servers are compared for a new meeting. forecast: by the users expected in the next two hours,
        /// from the history of meetings. reserve: by load and expected users. scalelite: by load, as the original does.
        placement_policy: PlacementPolicySetting = "PLACEMENT_POLICY" or "forecast";
        /// What is kept of ended meetings, for eight weeks. on: meeting IDs, times and sizes;
        /// pseudonymous: a hash of the ID instead of the ID; off: nothing.
        placement_history: HistorySetting = "PLACEMENT_HISTORY" or "on";
        /// Requests without a tag may use tagged servers if all servers are tagged.
        untagged_may_use_tagged: bool = "UNTAGGED_MAY_USE_TAGGED" or "false";
        /// If the least loaded server of a tier has a higher load than this, servers of the next tier are used as well.
        tier_load_max: Count = "TIER_LOAD_MAX" or "150";
    }
    "Parameters of create and join" {
        /// Longest duration of a meeting, in minutes. Meetings with a longer duration, or none, get this one. 0: no limit.
        max_meeting_duration: MinuteLimit = "MAX_MEETING_DURATION" or "0";
        /// Parameters of create that are removed.
        create_exclude_params: Names = "CREATE_EXCLUDE_PARAMS" or "";
        /// Parameters of join that are removed.
        join_exclude_params: Names = "JOIN_EXCLUDE_PARAMS" or "";
        /// Parameters of create that are added if the request has none of that name.
        default_create_params: PairsSetting = "DEFAULT_CREATE_PARAMS" or "";
        /// Parameters of create that replace those of the request.
        override_create_params: PairsSetting = "OVERRIDE_CREATE_PARAMS" or "";
        /// Parameters of join that are added if the request has none of that name.
        default_join_params: PairsSetting = "DEFAULT_JOIN_PARAMS" or "";
        /// Parameters of join that replace those of the request.
        override_join_params: PairsSetting = "OVERRIDE_JOIN_PARAMS" or "";
        /// Number of digits of generated voice bridges.
        voice_bridge_len: Digits = "VOICE_BRIDGE_LEN" or "9";
        /// Fewest digits of a voice bridge chosen by a front-end.
        voice_bridge_min: Digits = "VOICE_BRIDGE_MIN" or "5";
        /// Most digits of a voice bridge chosen by a front-end.
        voice_bridge_max: Digits = "VOICE_BRIDGE_MAX" or "9";
        /// Use the voice bridge that a front-end chooses, if it is free.
        use_external_voice_bridge: bool = "USE_EXTERNAL_VOICE_BRIDGE" or "false";
    }
    "Dial-in" {
        /// The password with which FreeSWITCH asks at /fsapi what to do with calls, as the user `fsapi`. Unset: the first secret of the
        /// front-ends. Set to nothing (`FSAPI_PASSWORD=`): everybody may ask.
        fsapi_password: Option<Secret> = "FSAPI_PASSWORD" or "";
        /// A call is hung up after so many minutes; 0: never. Unset: MAX_MEETING_DURATION.
        fsapi_max_duration: Option<MinuteLimit> = "FSAPI_MAX_DURATION" or "";
        /// Wrong PINs that a caller may enter within ten minutes; further calls are hung up. Each process counts for itself. 0: no limit.
        fsapi_max_wrong_pins: Count = "FSAPI_MAX_WRONG_PINS" or "20";
    }
    "Recordings" {
        /// getRecordings returns an empty list, the other recording calls return notFound.
        recording_disabled: bool = "RECORDING_DISABLED" or "false";
        /// Directory with `spool`, `published`, `unpublished` and `recording/scalelite`, from which the settings below follow that are not
        /// set. The original's units mount it into its containers.
        recording_root: Option<PathBuf> = "SCALELITE_RECORDING_DIR" or "";
        /// Directory where archives of recordings arrive: from BBB servers by rsync or a shared file system, or by upload.
        recording_spool_dir: PathBuf = "RECORDING_SPOOL_DIR" or "/var/bigbluebutton/spool";
        /// Directory where archives are unpacked; best on the file system of the two directories below.
        recording_work_dir: PathBuf = "RECORDING_WORK_DIR" or "/var/bigbluebutton/recording/scalelite";
        /// Directory of the files of published recordings.
        recording_publish_dir: PathBuf = "RECORDING_PUBLISH_DIR" or "/var/bigbluebutton/published";
        /// Directory of the files of unpublished recordings.
        recording_unpublish_dir: PathBuf = "RECORDING_UNPUBLISH_DIR" or "/var/bigbluebutton/unpublished";
        /// Directory where archives that cannot be imported are quarantined. Unset: quarantine in RECORDING_WORK_DIR.
        recording_quarantine_dir: Option<PathBuf> = "RECORDING_QUARANTINE_DIR" or "";
        /// Scan the spool in every interval; false: when a file arrives, and every ten minutes.
        recording_import_poll: bool = "RECORDING_IMPORT_POLL" or "true";
        /// Time between two scans of the spool, in seconds.
        recording_import_poll_interval: Seconds = "RECORDING_IMPORT_POLL_INTERVAL" or "60";
        /// New recordings are unpublished, whatever their metadata says.
        recording_import_unpublished: bool = "RECORDING_IMPORT_UNPUBLISHED" or "false";
        /// New recordings are protected, and updateRecordings can protect recordings.
        protected_recordings_enabled: bool = "PROTECTED_RECORDINGS_ENABLED" or "false";
        /// Longest archive that a BBB server may upload, in bytes.
        recording_upload_max_bytes: ByteCount = "RECORDING_UPLOAD_MAX_BYTES" or "53687091200";
        /// Archives that a BBB server may upload at the same time.
        recording_uploads_per_server: AtLeastOne = "RECORDING_UPLOADS_PER_SERVER" or "4";
        /// Most bytes that a BBB server may have in uploads that are not complete.
        recording_upload_quota_bytes: ByteCount = "RECORDING_UPLOAD_QUOTA_BYTES" or "107374182400";
        /// Most bytes that an archive may hold when it is unpacked.
        recording_archive_max_bytes: ByteCount = "RECORDING_ARCHIVE_MAX_BYTES" or "53687091200";
        /// How many times larger an archive may get when it is unpacked, beyond the first 100 MiB.
        recording_archive_max_ratio: AtLeastOne = "RECORDING_ARCHIVE_MAX_RATIO" or "20";
        /// Bytes that imports and uploads leave free in the directories of recordings.
        recording_min_free: ByteReserve = "RECORDING_MIN_FREE" or "1073741824";
        /// How long a one-time link from getRecordings to a protected recording is valid, in minutes.
        protected_recordings_token_timeout: AtLeastOne = "PROTECTED_RECORDINGS_TOKEN_TIMEOUT" or "60";
        /// getRecordings refuses calls that name neither recordings nor meetings.
        get_recordings_api_filtered: bool = "GET_RECORDINGS_API_FILTERED" or "false";
        /// How many days the files of deleted recordings are kept for `recordings undelete`; 0: not at all. The store
        /// remembers what servers were told, and commands heed that. Unset: what the store remembers, otherwise 0.
        recording_trash_days: Option<Count> = "RECORDING_TRASH_DAYS" or "";
        /// Directory of the files of deleted recordings, best on the file system of the published ones.
        /// Unset: `deleted` next to RECORDING_PUBLISH_DIR.
        recording_trash_dir: Option<PathBuf> = "RECORDING_TRASH_DIR" or "";
        /// Directories on other disks, separated by colons: symbolic links in recordings to what is below them are followed.
        recording_link_roots: Dirs = "RECORDING_LINK_ROOTS" or "";
        /// Recordings are deleted this many days after their meetings ended, checked daily; 0: never.
        recording_retention_days: Count = "RECORDING_RETENTION_DAYS" or "0";
        /// RECORDING_RETENTION_DAYS applies only to recordings of this tenant, given by its id.
        recording_retention_tenant: Option<String> = "RECORDING_RETENTION_TENANT" or "";
        /// RECORDING_RETENTION_DAYS applies only to recordings with all of this metadata, e.g.
        /// `category=draft,gl-listed=false`; `%` at the start or end of a value matches any text.
        recording_retention_metadata: Option<PairsSetting> = "RECORDING_RETENTION_METADATA" or "";
        /// Tombstones of deleted recordings are removed after this many days; an archive that arrives after that is imported again. Unset: never.
        recording_forget_days: Option<AtLeastOne> = "RECORDING_FORGET_DAYS" or "";
    }
    "Playback" {
        /// Formats whose files are served under /<format>/, separated by colons.
        recording_playback_formats: Formats = "RECORDING_PLAYBACK_FORMATS" or "presentation:video:screenshare:podcast:notes:capture";
        /// The host name of recordings, with a port if it is not 443: links lead there, and other hosts serve no recordings. Their
        /// pages carry scripts, which then have no part in the origin of the API. Unset: every host serves recordings.
        playback_host: Option<PublicHost> = "PLAYBACK_HOST" or "";
        /// How long a protected recording may be watched after its one-time token was used, in minutes.
        protected_recordings_timeout: AtLeastOne = "PROTECTED_RECORDINGS_TIMEOUT" or "360";
        /// Key that signs the access cookies of protected recordings.
        /// Unset: a key is generated on first start and kept in the data directory; with a shared store there is none,
        /// and protected recordings require one.
        secret_key_base: Option<Secret> = "SECRET_KEY_BASE" or "";
        /// Directory of BBB's player, served as /playback/presentation/2.3/. Unset: a plain page plays the videos of a presentation.
        playback_player_dir: Option<PathBuf> = "PLAYBACK_PLAYER_DIR" or "";
        /// The Content-Security-Policy of player and recordings. Unset: one with which the players of BBB 2.x to 3.x work.
        playback_csp: Option<SecurityPolicy> = "PLAYBACK_CSP" or "";
        /// The web server in front sends the files of recordings and of the player, as X-Accel-Redirect headers
        /// (/static-resource/…) tell it: set this if the original's nginx is kept.
        playback_x_accel: bool = "PLAYBACK_X_ACCEL" or "false";
        /// Language of the page for missing recordings: de, en, es, fr, or a language in LOCALES_DIR.
        default_locale: String = "DEFAULT_LOCALE" or "en";
        /// Directory with texts for that page, one <language>.yml for each language.
        locales_dir: Option<PathBuf> = "LOCALES_DIR" or "";
        /// URL of a CloudFront distribution to which recording pages are redirected, e.g. https://cdn.example.org.
        cloudfront_url: Option<String> = "CLOUDFRONT_URL" or "";
        /// Id of the CloudFront key pair.
        cf_key_pair_id: Option<String> = "CF_KEY_PAIR_ID" or "";
        /// RSA key that signs cookies for CloudFront: PEM, encoded in base64.
        cf_private_key_b64: Option<Secret> = "CF_PRIVATE_KEY_B64" or "";
    }
    "Recordings in S3" {
        /// Store the files of recordings in an S3 bucket instead of the two directories.
        s3_recording: bool = "S3_RECORDING" or "false";
        /// The bucket. Its prefixes are published/, unpublished/ and, for the trash, deleted/.
        s3_bucket_name: Option<String> = "S3_BUCKET_NAME" or "";
        /// The access key.
        aws_access_key_id: Option<String> = "AWS_ACCESS_KEY_ID" or "";
        /// The secret of the access key.
        aws_secret_access_key: Option<Secret> = "AWS_SECRET_ACCESS_KEY" or "";
        /// The session token of a temporary access key.
        aws_session_token: Option<Secret> = "AWS_SESSION_TOKEN" or "";
        /// The region.
        aws_region: String = "AWS_REGION" ["AWS_DEFAULT_REGION"] or "us-east-1";
        /// Endpoint of an S3 service other than Amazon's, e.g. http://minio:9000; bucket names are then part of the path.
        aws_endpoint_url: Option<String> = "AWS_ENDPOINT_URL" ["AWS_ENDPOINT_URL_S3"] or "";
    }
    "Tenants" {
        /// Every call belongs to a tenant. The first label of the host names the tenant (acme.URL_HOST: acme), the
        /// tenant's secrets sign the call, and the call sees only the tenant's meetings.
        multitenancy_enabled: bool = "MULTITENANCY_ENABLED" or "false";
    }
    "Callbacks" {
        /// Non-public destinations that callbacks may have: host names (.campus.example for all names below it), addresses and networks.
        callback_allow: Hosts = "CALLBACK_ALLOW" or "";
        /// Who calls meta_endCallbackUrl and meetingEndedURL of a create. passthrough: the BBB server, as with the original;
        /// it also calls when it ends one of two copies. balancer: the balancer, once, when the meeting is over; servers must
        /// reach `https://URL_HOST` for that, and without URL_HOST or with DB_DISABLED the server calls.
        end_callbacks: EndCallbacksSetting = "END_CALLBACKS" or "passthrough";
        /// Callbacks that were given up are forgotten this many days after they were posted, reports of meetings included; 0: never.
        callback_retention_days: Count = "CALLBACK_RETENTION_DAYS" or "30";
        /// Callback addresses of a meeting are forgotten this many days after its last create or recording; 0: never.
        callback_address_retention_days: Count = "CALLBACK_ADDRESS_RETENTION_DAYS" or "365";
    }
    "Notifications" {
        /// URL to which notifications of problems are posted as JSON.
        notify_webhook_url: Option<Secret> = "NOTIFY_WEBHOOK_URL" or "";
        /// Signs what is posted: `X-Scalelite-Signature: sha256=` and the HMAC-SHA256 of the body.
        notify_webhook_secret: Option<Secret> = "NOTIFY_WEBHOOK_SECRET" or "";
        /// Non-public destinations that the webhook may have: host names (.campus.example for all names below it), addresses and networks.
        notify_allow: Hosts = "NOTIFY_ALLOW" or "";
        /// Mail server for notifications: `smtps://NAME:PASSWORD@HOST`, `smtp://HOST?tls=required` (STARTTLS), or `smtp://HOST` without TLS.
        notify_smtp_url: Option<Secret> = "NOTIFY_SMTP_URL" or "";
        /// Recipients of e-mails, separated by commas.
        notify_email_to: Option<String> = "NOTIFY_EMAIL_TO" or "";
        /// Sender of e-mails.
        notify_email_from: Option<String> = "NOTIFY_EMAIL_FROM" or "";
        /// When only critical notifications are sent, by the clock of the machine, e.g. 22:00-06:00. All others follow afterwards.
        notify_quiet_hours: Option<QuietHoursSetting> = "NOTIFY_QUIET_HOURS" or "";
    }
    "Backups" {
        /// Directory in which a backup is made in every interval, best on another disk. Unset: none is made by itself.
        backup_dir: Option<PathBuf> = "BACKUP_DIR" or "";
        /// Time between two backups, in seconds.
        backup_interval: Seconds = "BACKUP_INTERVAL" or "86400";
        /// Number of backups in BACKUP_DIR that are kept. Only backups of the schedule are counted and deleted.
        backup_keep: AtLeastOne = "BACKUP_KEEP" or "14";
    }
    "Logging" {
        /// Lowest level that is logged. RUST_LOG, if set, overrides it and can select by module.
        log_level: LogLevel = "RAILS_LOG_LEVEL" ["LOG_LEVEL"] or "info";
        /// Format of the log, which is written to the standard error output.
        log_format: LogFormat = "LOG_FORMAT" or "text";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ignored_settings::WITHOUT_EFFECT;
    use crate::config::reading::ORIGINAL_SETTINGS;
    use crate::config::sources::SettingOrigin;

    fn read(variables: &[(&str, &str)]) -> Result<(Config, Vec<EffectiveSetting>), String> {
        Config::read(&Sources::from_variables(variables))
    }

    #[test]
    fn defaults_are_accepted_and_empty_counts_as_unset() {
        let (config, effective) = read(&[("PORT", ""), ("BIND", "")]).unwrap();
        assert_eq!((config.port, config.bind), (3000, None));
        assert_eq!(effective.len(), SETTINGS.len());
        assert!(effective.iter().all(|setting| setting.origin == SettingOrigin::Default));
    }

    #[test]
    fn a_wrong_value_is_named_with_what_is_allowed() {
        let error = read(&[("IDLE_TIMEOUT", "soon")]).unwrap_err();
        assert_eq!(
            error,
            "IDLE_TIMEOUT: `soon` is not allowed, it must be a number of seconds greater than 0 \
             and at most 31536000"
        );
    }

    #[test]
    fn secrets_are_hidden_and_may_come_from_files() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from-file\n").unwrap();
        let path = file.path().to_str().unwrap();
        let (config, effective) =
            read(&[("LOADBALANCER_SECRET_FILE", path), ("LOADBALANCER_SECRETS", "a:b")]).unwrap();
        assert_eq!(config.loadbalancer_secret, Some(Secret("from-file".to_owned())));
        assert!(!format!("{config:?}{effective:?}").contains("from-file"));
        let error = read(&[("AWS_SESSION_TOKEN", " hidden")]).unwrap_err();
        assert!(!error.contains("hidden"));
    }

    #[test]
    fn a_name_takes_precedence_over_its_aliases() {
        assert_eq!(read(&[("INTERVAL", "5")]).unwrap().0.poll_interval, Seconds(5.0));
        let blank = read(&[("INTERVAL", "5"), ("POLL_INTERVAL", " ")]).unwrap().0;
        assert_eq!(blank.poll_interval, Seconds(5.0));
        let both = read(&[("INTERVAL", "5"), ("POLL_INTERVAL", "6")]).unwrap().0;
        assert_eq!(both.poll_interval, Seconds(6.0));
    }

    #[test]
    fn no_name_is_used_twice() {
        let settings = SETTINGS.iter().flat_map(Setting::names);
        let ignored = WITHOUT_EFFECT.iter().map(|(name, _)| *name);
        let mut names: Vec<_> = settings.chain(ignored).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    /// The value that is used for a setting, and the warning about it.
    fn shown(variables: &[(&str, &str)], name: &str) -> (String, Option<String>) {
        let (_, effective) = read(variables).unwrap();
        let found = effective.into_iter().find(|setting| setting.setting.name == name).unwrap();
        (found.value, found.warning)
    }

    #[test]
    fn settings_of_the_original_are_read_as_it_reads_them() {
        for (name, text, used, is_warned) in [
            ("MAX_MEETING_DURATION", "0", "0", false),
            ("MAX_MEETING_DURATION", " 90 ", "90", false),
            ("MAX_MEETING_DURATION", "90min", "90", true),
            ("MAX_MEETING_DURATION", "-1", "0", true),
            ("MAX_MEETING_DURATION", "none", "0", true),
            ("SERVER_UNHEALTHY_THRESHOLD", "0", "1", true),
            ("SERVER_HEALTHY_THRESHOLD", "-3", "1", true),
            ("SERVER_HEALTHY_THRESHOLD", " 3\t", "3", false),
            ("REDIS_POOL", "0", "5", true),
            ("POLLER_THREADS", "0", "50", true),
            ("POLLER_THREADS", "1_0", "10", true),
            ("CONNECT_TIMEOUT", "0", "5", true),
            ("CONNECT_TIMEOUT", "2.5s", "2.5", true),
            ("CONNECT_TIMEOUT", "soon", "5", true),
            ("POLL_INTERVAL", " ", "60", false),
            ("LOAD_MIN_USER_COUNT", "0", "0", false),
            ("LOAD_MIN_USER_COUNT", "-1", "15", true),
            ("PORT", "many", "3000", true),
            ("VOICE_BRIDGE_LEN", "20", "9", true),
            ("VOICE_BRIDGE_MIN", "10", "9", true),
            ("RECORDING_DISABLED", "maybe", "false", true),
            ("RECORDING_DISABLED", " TRUE ", "TRUE", false),
            ("RECORDING_DISABLED", "1", "1", true),
            ("LOADBALANCER_CHECKSUM_ALGORITHM", "MD5:SHA256:", "SHA256", true),
            ("RECORDING_PLAYBACK_FORMATS", "video:../x:Notes", "video", true),
            ("DEFAULT_CREATE_PARAMS", "a=1,b,c=2", "a=1,c=2", true),
            ("RAILS_LOG_LEVEL", "trace", "info", true),
            ("URL_HOST", "https://lb.example.org/", "lb.example.org", true),
        ] {
            let (value, warning) = shown(&[(name, text)], name);
            assert_eq!((value.as_str(), warning.is_some()), (used, is_warned), "{name}={text}");
        }
        let (_, warning) = shown(&[("CONNECT_TIMEOUT", "0")], "CONNECT_TIMEOUT");
        assert_eq!(
            warning.as_deref(),
            Some(
                "CONNECT_TIMEOUT: `0` is not allowed, it must be a number of seconds greater than 0 \
                 and at most 31536000: 5 is used"
            )
        );
        let config = read(&[("MAX_MEETING_DURATION", "0")]).unwrap().0;
        assert_eq!(config.max_meeting_duration, MinuteLimit(None));
    }

    #[test]
    fn secrets_of_the_original_are_taken_as_they_are() {
        let (config, effective) = read(&[("LOADBALANCER_SECRET", " hidden ")]).unwrap();
        assert_eq!(config.loadbalancer_secret, Some(Secret(" hidden ".to_owned())));
        let warnings: Vec<_> = effective.iter().filter_map(|one| one.warning.as_ref()).collect();
        assert_eq!(
            warnings,
            ["LOADBALANCER_SECRET: leading or trailing whitespace counts as part of it"]
        );
        let redis = read(&[("REDIS_URL", " redis://h ")]).unwrap().0.redis_url;
        assert_eq!(redis, Some(StoreUrl("redis://h".to_owned())));
    }

    #[test]
    fn what_the_original_could_not_use_either_stops_the_start() {
        for (name, text) in [
            ("LOADBALANCER_CHECKSUM_ALGORITHM", "MD5"),
            ("BIND", "ssl://0.0.0.0:443?cert=x"),
            ("URL_HOST", "https://"),
            ("CLOUDFRONT_URL", "https://cdn.example.org"),
            ("S3_RECORDING", "true"),
            // Settings that the original does not have.
            ("LOG_FORMAT", "xml"),
            ("IDLE_TIMEOUT", "0"),
            ("HEARTBEAT_INTERVAL", "often"),
        ] {
            assert!(read(&[(name, text)]).is_err(), "{name}={text}");
        }
        let (config, effective) = read(&[("CF_KEY_PAIR_ID", "K1")]).unwrap();
        assert_eq!(config.cloudfront_url, None);
        assert_eq!(effective.iter().filter(|setting| setting.warning.is_some()).count(), 1);
    }

    #[test]
    fn every_setting_of_the_original_exists() {
        for name in ORIGINAL_SETTINGS {
            assert!(SETTINGS.iter().any(|setting| setting.name == *name), "{name}");
        }
    }

    #[test]
    fn the_host_is_taken_out_of_an_address() {
        for (text, host, authority) in [
            ("lb.test", "lb.test", "lb.test"),
            ("https://lb.test", "lb.test", "lb.test"),
            ("https://lb.test:443/", "lb.test", "lb.test"),
            ("http://lb.test:8080/bigbluebutton/", "lb.test", "lb.test:8080"),
            ("lb.test:8443", "lb.test", "lb.test:8443"),
            ("lb.test/", "lb.test", "lb.test"),
            ("[::1]:3000", "[::1]", "[::1]:3000"),
        ] {
            let found = read(&[("URL_HOST", text)]).unwrap().0.url_host.unwrap();
            assert_eq!((found.host(), found.authority().as_str()), (host, authority), "{text}");
        }
    }
}
