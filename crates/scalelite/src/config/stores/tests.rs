//! Precedence of settings and files, and error messages without secrets.

use super::*;

/// Configuration files and environment variables of a deployment.
#[derive(Default)]
struct Deployment<'a> {
    redis: &'a str,
    database: &'a str,
    variables: &'a [(&'a str, &'a str)],
}

impl Deployment<'_> {
    fn read_stores(&self) -> Result<StoreSettings, String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [(REDIS_FILE, self.redis), (DATABASE_FILE, self.database)] {
            if !text.is_empty() {
                let text = format!("production:\n{text}");
                std::fs::write(dir.path().join(name), text).unwrap();
            }
        }
        let path = dir.path().display().to_string();
        let variables = [self.variables, &[("SCALELITE_CONFIG_DIR", &path)]].concat();
        let sources = Sources::from_variables(&variables);
        let (config, _) = Config::read(&sources)?;
        read_store_settings(&config, &sources)
            .map_err(|error| error.replace(&format!("{path}/"), ""))
    }

    /// Descriptions of the state store and the recording store.
    fn locations(&self) -> (String, String) {
        self.read_stores().unwrap().describe()
    }

    fn redis_options(&self) -> RedisOptions {
        match self.read_stores().unwrap().state {
            StateStoreUrl::Redis(redis) => redis,
            url => panic!("{url:?}"),
        }
    }

    fn pg_options(&self) -> PgOptions {
        match self.read_stores().unwrap().recordings {
            RecordingStoreUrl::Postgres(postgres) => postgres,
            url => panic!("{url:?}"),
        }
    }
}

fn locations_by_environment(variables: &[(&str, &str)]) -> (String, String) {
    Deployment { variables, ..Deployment::default() }.locations()
}

const REDIS: (&str, &str) = ("REDIS_URL", "redis://:secret@r/1");
const DATABASE: (&str, &str) = ("DATABASE_URL", "postgres://u:secret@p/d");

#[test]
fn the_environment_alone_selects_the_stores() {
    let (dir, redis, database) =
        ("the data directory", "redis://r:6379/1", "postgresql://p:5432/d");
    let disabled = ("DB_DISABLED", "true");
    let nowhere = "nowhere (DB_DISABLED)";
    for (variables, state, recordings) in [
        (&[][..], dir, dir),
        (&[REDIS], redis, dir),
        (&[DATABASE], database, database),
        (&[REDIS, DATABASE], redis, database),
        (&[disabled], dir, nowhere),
        (&[REDIS, DATABASE, disabled], redis, nowhere),
        (&[DATABASE, disabled], dir, nowhere),
    ] {
        assert_eq!(
            locations_by_environment(variables),
            (state.to_owned(), recordings.to_owned()),
            "{variables:?}"
        );
    }
}

#[test]
fn the_environment_overrides_the_files() {
    let deployment = Deployment {
        redis: "  host: f\n  db: 7\n  password: fp\n  namespace: fn\n  pool: 9\n",
        database: "  adapter: postgresql\n  host: f\n  database: fd\n  username: fu\n  pool: 3\n",
        variables: &[],
    };
    assert_eq!(
        deployment.locations(),
        ("redis://f:6379/7 (fn)".into(), "postgresql://f:5432/fd".into())
    );
    let redis = deployment.redis_options();
    assert_eq!((redis.namespace.as_str(), redis.max_connections), ("fn", 9));
    assert_eq!(redis.address.password.as_deref(), Some("fp"));
    assert_eq!(deployment.pg_options().max_connections, 3);

    let variables =
        &[("REDIS_URL", "redis://r"), ("DATABASE_URL", "postgres://p?pool=4"), ("REDIS_POOL", "2")];
    let deployment = Deployment { variables, ..deployment };
    assert_eq!(
        deployment.locations(),
        ("redis://r:6379/0 (fn)".into(), "postgresql://p:5432/fd".into())
    );
    let redis = deployment.redis_options();
    assert_eq!((redis.namespace.as_str(), redis.max_connections), ("fn", 2));
    // The URL has no credentials, so the file's are used.
    assert_eq!(redis.address.password.as_deref(), Some("fp"));
    assert_eq!(deployment.pg_options().max_connections, 4);

    let variables = &[REDIS, ("REDIS_NAMESPACE", "en"), ("DATABASE_POOL", "1")];
    let deployment = Deployment { variables, ..deployment };
    assert_eq!(deployment.redis_options().namespace, "en");
    assert_eq!(deployment.redis_options().address.password.as_deref(), Some("secret"));
    assert_eq!(deployment.pg_options().max_connections, 2);
    // The file of a disabled database is not read.
    let variables = &[("DB_DISABLED", "1")];
    let deployment = Deployment { database: "  x: <% ruby %>\n", variables, ..deployment };
    assert_eq!(deployment.locations().1, "nowhere (DB_DISABLED)");
}

#[test]
fn files_with_variables_that_are_not_set_count_as_empty() {
    let redis = "  url: <%= ENV['REDIS_URL'] %>\n  pool: 5\n  namespace: scalelite\n";
    let database =
        "  adapter: postgresql\n  encoding: unicode\n  url: <%= ENV['DATABASE_URL'] %>\n";
    let deployment = Deployment { redis, database, variables: &[] };
    assert_eq!(deployment.locations(), locations_by_environment(&[]));
    let deployment = Deployment { variables: &[REDIS, DATABASE], ..deployment };
    assert_eq!(deployment.locations(), locations_by_environment(&[REDIS, DATABASE]));
}

#[test]
fn sentinels_are_read_from_the_file() {
    let sentinels = "  sentinels:\n  - {host: a}\n  - host: b\n    port: 7\n    password: sp\n";
    for redis in [
        format!("  name: m\n  role: master\n  db: 2\n  password: p\n{sentinels}"),
        format!("  url: redis://:p@m/2\n{sentinels}"),
    ] {
        let address = Deployment { redis: &redis, ..Deployment::default() }.redis_options().address;
        assert_eq!(address.describe(), "redis+sentinel://a:26379,b:7/m/2");
        assert_eq!(address.password.as_deref(), Some("p"));
        let RedisEndpoint::Sentinel { sentinel_password, .. } = address.endpoint else { panic!() };
        assert_eq!(sentinel_password.as_deref(), Some("sp"));
        let variables = &[("REDIS_URL", "redis+sentinel://c/other/3")];
        let deployment = Deployment { redis: &redis, variables, ..Deployment::default() };
        assert_eq!(deployment.locations().0, "redis+sentinel://c:26379/other/3");
    }
}

#[test]
fn a_url_in_the_environment_leaves_the_other_keys_of_the_file_in_force() {
    let sentinels = "  sentinels:\n  - {host: a}\n  - {host: b, port: 7}\n";
    let url = "  url: <%= ENV.fetch('REDIS_URL') { 'redis://localhost' } %>\n";
    for (redis, variables, location) in [
        (
            format!("{url}{sentinels}"),
            &[("REDIS_URL", "redis://m/1")],
            "redis+sentinel://a:26379,b:7/m/1",
        ),
        (
            format!("{url}  ssl: true\n  db: 4\n{sentinels}"),
            &[("REDIS_URL", "redis://m:6379/1")],
            "rediss+sentinel://a:26379,b:7/m/4",
        ),
        (
            format!("  name: master\n{sentinels}"),
            &[("REDIS_URL", "redis://m/1")],
            "redis+sentinel://a:26379,b:7/master/1",
        ),
        (format!("{url}  ssl: true\n"), &[("REDIS_URL", "redis://h:1/2")], "rediss://h:1/2"),
        (format!("{url}  db: 5\n"), &[("REDIS_URL", "redis://h/2")], "redis://h:6379/5"),
        ("  host: f\n  db: 5\n".to_owned(), &[("REDIS_URL", "redis://h/2")], "redis://h:6379/2"),
    ] {
        let deployment = Deployment { redis: &redis, variables, ..Deployment::default() };
        assert_eq!(deployment.locations().0, location, "{redis}");
    }
    let variables = &[("REDIS_URL", "redis://m")];
    let redis = format!("{url}  password: fp\n{sentinels}");
    let address = Deployment { redis: &redis, variables, ..Deployment::default() }.redis_options();
    assert_eq!(address.address.password.as_deref(), Some("fp"));
}

#[test]
fn hosts_sockets_and_tls_are_read_from_the_file() {
    for (redis, location) in [
        ("  host: h\n  port: 1\n  ssl: true\n", "rediss://h:1/0"),
        ("  url: rediss://u/3\n  port: 2\n", "rediss://u:2/3"),
        ("  path: /run/r.sock\n  db: 1\n", "unix:///run/r.sock?db=1"),
        ("  url: unix:///run/r.sock\n", "unix:///run/r.sock?db=0"),
    ] {
        assert_eq!(Deployment { redis, ..Deployment::default() }.locations().0, location);
    }
}

#[test]
fn errors_name_the_source_and_have_no_secret() {
    let error = |redis, database, variables| {
        let error = Deployment { redis, database, variables }.read_stores().err().unwrap();
        assert!(!error.contains("secret"), "{error}");
        error
    };
    let url = error("", "", &[("REDIS_URL", "redis://:secret@h:x")]);
    assert!(url.starts_with("REDIS_URL: a port must be a number"), "{url}");
    let url = error("", "", &[("DATABASE_URL", "mysql2://u:secret@h")]);
    assert!(url.starts_with("DATABASE_URL: it must begin with postgresql://"), "{url}");
    let file = error("  url: redis://:secret@h:x\n", "", &[]);
    assert!(file.starts_with("redis_store.yml: production: url: a port"), "{file}");
    let file = error("  sentinels: [{host: h}]\n  password: secret\n", "", &[]);
    assert!(file.starts_with("redis_store.yml: production: sentinels need the name"), "{file}");
    let file = error("", "  adapter: mysql2\n  host: h\n  password: secret\n", &[]);
    assert_eq!(file, "database.yml: production: adapter: only postgresql is supported");
    let file = error("", "  host: h\n  port: secret\n", &[]);
    assert!(file.starts_with("database.yml: production: a port must be a number"), "{file}");
}

#[test]
fn store_locations_are_parsed() {
    let sources = Sources::from_variables(&[("REDIS_NAMESPACE", "n")]);
    let (config, _) = Config::read(&sources).unwrap();
    let store = |url: &str| parse_store_url(url, &config, &sources);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    for (url, path) in [
        ("data", Path::new("data/scalelite.db")),
        ("sqlite:data/x.db", Path::new("data/x.db")),
        ("sqlite:///var/lib/x", Path::new("/var/lib/x/scalelite.db")),
        (file.to_str().unwrap(), &file),
        (dir.path().to_str().unwrap(), &dir.path().join("scalelite.db")),
    ] {
        assert!(matches!(store(url), Ok(StoreLocation::Embedded(file)) if file == path), "{url}");
    }
    assert!(
        matches!(store("redis://h"), Ok(StoreLocation::Redis(options)) if options.namespace == "n")
    );
    assert!(matches!(store("unix:///r"), Ok(StoreLocation::Redis(_))));
    assert!(
        matches!(store("postgres://h"), Ok(StoreLocation::Postgres(options)) if options.max_connections == 10)
    );
    for wrong in ["", "sqlite:", "http://x", "redis://:secret@h:x", "redisx://h"] {
        let error = store(wrong).unwrap_err();
        assert!(!error.contains("secret") && !error.is_empty(), "{error}");
    }
}
