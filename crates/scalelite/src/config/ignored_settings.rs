//! Settings of the original that have no effect here. `config`, `doctor` and the log name those that
//! are set.

/// Settings of the original that have no effect, and the reason.
pub const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("RAILS_ENV", "there is no Rails"),
    ("RAILS_MAX_THREADS", "requests need no threads"),
    ("RAILS_MIN_THREADS", "requests need no threads"),
    ("WEB_CONCURRENCY", "one process uses all cores"),
    ("RAILS_LOG_TO_STDOUT", "the log always goes to the standard error output"),
    ("RAILS_LOG_REMOTE_NAME", "the log always goes to the standard error output"),
    ("RAILS_LOG_REMOTE_PORT", "the log always goes to the standard error output"),
    ("RAILS_SERVE_STATIC_FILES", "there are no static files"),
    ("PREPARED_STATEMENT", "statements are always prepared"),
    ("DB_CONNECTION_RETRY_COUNT", "lost connections are retried without a limit"),
    ("NGINX_SSL", "it configured the original's nginx image"),
    ("NGINX_BEHIND_PROXY", "it configured the original's nginx image"),
    ("BEHIND_PROXY", "it configured the original's nginx image"),
    ("NGINX_RECORDINGS_ONLY", "it configured the original's nginx image"),
    (
        "SCALELITE_API_PORT",
        "it configured the original's nginx image; MANAGEMENT_BIND gives the management API an address of its own",
    ),
];
