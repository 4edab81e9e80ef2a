//! Tests: every form of REDIS_URL is parsed, and errors contain no secrets.

use proptest::prelude::*;

use super::*;

fn tcp_at(host: &str, port: u16, tls: bool) -> RedisEndpoint {
    RedisEndpoint::Tcp { host: host.to_owned(), port, tls }
}

fn parse(url: &str) -> RedisAddress {
    RedisAddress::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Returns user, password and database.
fn credentials_and_db(url: &str) -> (Option<String>, Option<String>, u32) {
    let address = parse(url);
    (address.username, address.password, address.db)
}

fn some_text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn hosts_and_sockets() {
    for (url, endpoint) in [
        ("redis://h", tcp_at("h", 6379, false)),
        ("redis://", tcp_at("localhost", 6379, false)),
        ("redis://h:1/", tcp_at("h", 1, false)),
        ("redis://:6380/2", tcp_at("localhost", 6380, false)),
        ("rediss://u:p@h.example:6380/0", tcp_at("h.example", 6380, true)),
        ("redis://[::1]", tcp_at("::1", 6379, false)),
        ("redis://:p@[fe80::1%25eth0]:7?db=1", tcp_at("fe80::1%eth0", 7, false)),
        ("unix:///run/r.sock", RedisEndpoint::Unix("/run/r.sock".into())),
        ("redis+unix:///a%20b?db=1", RedisEndpoint::Unix("/a b".into())),
        ("unix://u:p@/run/r.sock", RedisEndpoint::Unix("/run/r.sock".into())),
    ] {
        assert!(parse(url).endpoint == endpoint, "{url}: {:?}", parse(url));
    }
}

#[test]
fn users_passwords_and_databases() {
    assert_eq!(credentials_and_db("redis://h"), (None, None, 0));
    assert_eq!(credentials_and_db("redis://:p%40%2f+@h/3"), (None, some_text("p@/+"), 3));
    assert_eq!(credentials_and_db("redis://u:p:q@h/3/"), (some_text("u"), some_text("p:q"), 3));
    assert_eq!(credentials_and_db("redis://only@h"), (None, some_text("only"), 0));
    assert_eq!(credentials_and_db("redis://:@h?db=4"), (None, None, 4));
    let socket = "unix:///r?database=2&username=%C3%A4&password=p%26q&other=1";
    assert_eq!(credentials_and_db(socket), (some_text("\u{e4}"), some_text("p&q"), 2));
}

#[test]
fn sentinels() {
    let url = "redis+sentinel://u:p@a,b:7,[::2]:8/my%20master/5?sentinel_password=s";
    assert_eq!(credentials_and_db(url), (some_text("u"), some_text("p"), 5));
    let sentinels = vec![("a".to_owned(), 26379), ("b".to_owned(), 7), ("::2".to_owned(), 8)];
    let master = "my master".to_owned();
    let sentinel_password = some_text("s");
    let endpoint = RedisEndpoint::Sentinel { sentinels, master, tls: false, sentinel_password };
    assert!(parse(url).endpoint == endpoint);
    assert_eq!(parse(url).describe(), "redis+sentinel://a:26379,b:7,[::2]:8/my master/5");
    let tls = parse("rediss+sentinel://a/m");
    assert!(matches!(tls.endpoint, RedisEndpoint::Sentinel { tls: true, .. }));
}

#[test]
fn errors_name_the_invalid_part() {
    for (url, part) in [
        ("", "begin with redis://"),
        ("localhost:6379", "begin with redis://"),
        ("http://h", "begin with redis://"),
        ("redis://h:port", "port"),
        ("redis://h:0", "port"),
        ("redis://h:66000", "port"),
        ("redis://h/x", "database"),
        ("redis://h?db=-1", "database"),
        ("redis://::1/0", "brackets"),
        ("redis://[::1", "]"),
        ("redis://[::1]x", "]"),
        ("redis://:a b@h", "blanks"),
        ("redis://:%4@h", "percent-escape"),
        ("redis://:%ff@h", "percent-escape"),
        ("redis://:%00@h", "zero byte"),
        ("redis://:a@b@h", "@"),
        ("redis://u:12/34@h", "@"),
        ("redis://a,b", "sentinel"),
        ("redis+sentinel://a:1,b:2", "master"),
        ("redis+sentinel:///m", "host"),
        ("unix://run/r.sock", "three slashes"),
        ("unix:///", "three slashes"),
    ] {
        let error = RedisAddress::parse(url).unwrap_err();
        assert!(error.contains(part), "{url}: {error}");
    }
}

#[test]
fn descriptions() {
    for (url, text) in [
        ("redis://u:secret@h", "redis://h:6379/0"),
        ("rediss://secret@[::1]:1/2", "rediss://[::1]:1/2"),
        ("unix:///r?password=secret", "unix:///r?db=0"),
    ] {
        assert_eq!(parse(url).describe(), text);
    }
}

proptest! {
    /// Every user and password can be written with escapes.
    #[test]
    fn percent_escapes_are_decoded(user in "[^\0]{1,12}", password in "[^\0]{1,12}", db in 0_u32..99) {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode as escape};
        let (u, p) = (escape(&user, NON_ALPHANUMERIC), escape(&password, NON_ALPHANUMERIC));
        let address = RedisAddress::parse(&format!("redis://{u}:{p}@h:1/{db}")).unwrap();
        prop_assert_eq!((address.username, address.password), (Some(user), Some(password)));
        prop_assert_eq!(address.db, db);
    }

    /// Whatever characters surround a password, neither errors nor descriptions contain it.
    #[test]
    fn passwords_are_not_shown(
        scheme in "rediss?|redis\\+sentinel|unix|http",
        before in "[a-z:@/?#%]{0,4}",
        after in "[a-z:@/?#%]{0,4}",
        end in "[a-z:@/?#0-9,]{0,8}",
    ) {
        let url = format!("{scheme}://{before}:{before}SECRET{after}@{end}");
        let shown = match RedisAddress::parse(&url) {
            Ok(address) => format!("{address:?}"),
            Err(error) => error,
        };
        // The path of a socket and a name after a slash are no passwords.
        let in_path = before.contains('/') && shown.starts_with("RedisAddress");
        prop_assert!(in_path || !shown.contains("SECRET"), "{url}: {shown}");
    }

    #[test]
    fn no_url_panics(url in ".{0,40}", rest in "[\\PC]{0,30}") {
        let _ = RedisAddress::parse(&url);
        let _ = RedisAddress::parse(&format!("redis://{rest}"));
        let _ = RedisAddress::parse(&format!("redis+sentinel://{rest}"));
    }
}
