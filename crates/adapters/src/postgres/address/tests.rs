//! Tests: every form of DATABASE_URL is parsed, and errors contain no secrets.

use proptest::prelude::*;

use super::*;

fn parse(url: &str) -> PgAddress {
    PgAddress::parse(url, Some("me")).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Returns user and password.
fn user_and_password(address: &PgAddress) -> (&str, &str) {
    let password = address.config.get_password().unwrap_or_default();
    (address.config.get_user().unwrap_or_default(), std::str::from_utf8(password).unwrap())
}

#[test]
fn hosts_and_databases() {
    for (url, text) in [
        ("postgresql://u:p@h:5433/db?pool=5&sslmode=require", "postgresql://h:5433/db"),
        ("postgres://h", "postgresql://h:5432/scalelite"),
        ("postgres://h/", "postgresql://h:5432/scalelite"),
        ("postgres://[::1]:1/db%20x", "postgresql://[::1]:1/db x"),
        ("postgres://a,b:2/d", "postgresql://a:5432,b:2/d"),
        ("postgres://a,b/d?port=7", "postgresql://a:7,b:7/d"),
        ("postgresql:///d?host=/run/postgresql", "postgresql:///run/postgresql/d"),
        ("postgresql://%2Fvar%2Frun/d", "postgresql:///var/run/d"),
        ("postgresql://u@/d?host=/run&port=9", "postgresql:///run:9/d"),
        ("postgresql://", "postgresql:///var/run/postgresql/scalelite"),
        ("postgresql://h?dbname=x&user=u&password=secret", "postgresql://h:5432/x"),
    ] {
        assert_eq!(parse(url).describe(), text, "{url}");
    }
    let socket = parse("postgresql://%2Fvar%2Frun/d?sslmode=require");
    assert_eq!(socket.config.get_hosts(), [Host::Unix("/var/run".into())]);
    assert_eq!(socket.ssl, SslMode::Disable);
}

#[test]
fn users_and_passwords() {
    assert_eq!(user_and_password(&parse("postgres://u%40x:p%2F%3A%25+@h/d")), ("u@x", "p/:%+"));
    assert_eq!(user_and_password(&parse("postgres://u@h/d")), ("u", ""));
    assert_eq!(user_and_password(&parse("postgres://h/d")), ("me", ""));
    assert_eq!(user_and_password(&parse("postgres://h/d?user=q&password=a%26b")), ("q", "a&b"));
    assert_eq!(PgAddress::parse("postgres://h", None).unwrap().config.get_user(), None);
}

#[test]
fn parameters() {
    let plain = parse("postgres://h");
    assert_eq!(plain.config.get_connect_timeout(), Some(&Duration::from_secs(2)));
    assert_eq!(plain.config.get_application_name(), Some("scalelite"));
    assert_eq!(
        (plain.ssl, plain.max_connections, plain.root_certificate),
        (SslMode::Prefer, None, None)
    );
    let full = parse(
        "postgres://h/d?pool=7&timeout=5000&prepared_statements=false&encoding=unicode&adapter=x\
         &variables=y&reaping_frequency=z&checkout_timeout=w&unknown&sslrootcert=/etc/ca.pem\
         &sslmode=verify-full&connect_timeout=9&application_name=mine&options=-c%20a%3Db\
         &keepalives=0&keepalives_idle=11&keepalives_interval=12&keepalives_count=13",
    );
    assert_eq!((full.ssl, full.max_connections), (SslMode::Verify, Some(7)));
    assert_eq!(full.root_certificate, Some("/etc/ca.pem".into()));
    let config = full.config;
    assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(9)));
    assert_eq!(config.get_application_name(), Some("mine"));
    assert_eq!(config.get_options(), Some("-c a=b"));
    assert!(!config.get_keepalives());
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(11));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(12)));
    assert_eq!(config.get_keepalives_retries(), Some(13));
    for (mode, ssl) in [
        ("disable", SslMode::Disable),
        ("allow", SslMode::Prefer),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::Verify),
    ] {
        assert_eq!(parse(&format!("postgres://h?sslmode={mode}")).ssl, ssl);
    }
    let endless = parse("postgres://h?connect_timeout=0&sslrootcert=system");
    assert_eq!(endless.config.get_connect_timeout(), Some(&CONNECT_TIMEOUT));
    assert_eq!(endless.root_certificate, None);
}

#[test]
fn a_url_overrides_the_defaults() {
    let parse_over_file = |url: &str| {
        let file = [("host", "f"), ("port", "1"), ("database", "fd"), ("username", "fu")];
        let file = file.map(|(name, value)| (name, value.to_owned()));
        PgAddress::parse_with_defaults(&file, url, Some("me")).unwrap()
    };
    assert_eq!(parse_over_file("postgres://").describe(), "postgresql://f:1/fd");
    assert_eq!(parse_over_file("postgres://h").describe(), "postgresql://h:1/fd");
    let all = parse_over_file("postgres://u:p@h:2/d");
    assert_eq!(
        (all.describe().as_str(), user_and_password(&all)),
        ("postgresql://h:2/d", ("u", "p"))
    );
    assert_eq!(user_and_password(&parse_over_file("postgres://")), ("fu", ""));
}

#[test]
fn errors_name_the_invalid_part() {
    for (url, part) in [
        ("", "begin with postgresql://"),
        ("h:5432/d", "begin with postgresql://"),
        ("postgis://h/d", "begin with postgresql://"),
        ("postgresql+psycopg2://h/d", "begin with postgresql://"),
        ("mysql2://h/d", "begin with postgresql://"),
        ("postgres://h:x/d", "port"),
        ("postgres://a,b/d?port=1,2,3", "number of hosts"),
        ("postgres://a,,b/d", "empty"),
        ("postgres://h?sslmode=maybe", "sslmode"),
        ("postgres://h?pool=many", "pool"),
        ("postgres://h?connect_timeout=1s", "connect_timeout"),
        ("postgres://u:p#q/r@h/d", "@"),
        ("postgres://u:12/34@h/d", "@"),
        ("postgres://u:12?34@h/d", "@"),
        ("postgres://u:%zz@h/d", "percent-escape"),
    ] {
        let error = PgAddress::parse(url, None).unwrap_err();
        assert!(error.contains(part), "{url}: {error}");
    }
}

proptest! {
    #[test]
    fn percent_escapes_are_decoded(user in "[^\0]{1,12}", password in "[^\0]{1,12}", db in "[^\0]{1,9}") {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode as escape};
        let [u, p, d] = [&user, &password, &db].map(|text| escape(text, NON_ALPHANUMERIC));
        let address = PgAddress::parse(&format!("postgresql://{u}:{p}@h:1/{d}"), None).unwrap();
        prop_assert_eq!(user_and_password(&address), (user.as_str(), password.as_str()));
        prop_assert_eq!(address.config.get_dbname(), Some(db.as_str()));
    }

    /// Whatever characters surround a password, neither errors nor descriptions contain it.
    #[test]
    fn passwords_are_not_shown(
        before in "[a-z:@/?#%]{0,4}",
        after in "[a-z:@/?#%]{0,4}",
        end in "[a-z:@/?#0-9,]{0,8}",
    ) {
        let url = format!("postgresql://{before}:{before}SECRET{after}@{end}");
        let shown = match PgAddress::parse(&url, None) {
            Ok(address) => format!("{address:?}"),
            Err(error) => error,
        };
        prop_assert!(!shown.contains("SECRET"), "{url}: {shown}");
    }

    #[test]
    fn no_url_panics(url in ".{0,40}", rest in "[\\PC]{0,30}") {
        let _ = PgAddress::parse(&url, None);
        let _ = PgAddress::parse(&format!("postgres://{rest}"), None);
    }
}
