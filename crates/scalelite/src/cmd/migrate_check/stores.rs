//! Rows for the original's Redis and PostgreSQL: whether this machine can reach them, what is in them, and whether they
//! have been adopted.

use std::collections::BTreeSet;
use std::net::ToSocketAddrs as _;

use app::blocking::SERVER_NAMES;

use super::rows::Row;
use super::samples::{SAMPLE_SIZE, Sample};
use crate::config::stores::{RecordingStoreUrl, StateStoreUrl};
use crate::config::{Config, Sources, StoreHost, StoreSettings};
use crate::wiring::original::{read_pool, read_recordings};

/// The address that the original uses without REDIS_URL.
const DEFAULT_REDIS: &str = "redis://127.0.0.1:6379";

/// Rows for both stores; and a sample of the recordings, if they can be read.
pub async fn check(
    theirs: &Sources,
    config: &Config,
    stores: &StoreSettings,
    services: &BTreeSet<String>,
) -> (Vec<Row>, Option<Sample>) {
    let mut rows = Vec::new();
    let mut unresolved = BTreeSet::new();
    for host in stores.hosts() {
        if !resolves(&host).await {
            rows.push(describe_unresolved(&host, services));
            unresolved.insert(host.setting);
        }
    }
    let place = stores.describe();
    match &stores.state {
        StateStoreUrl::Redis(_) if unresolved.contains("REDIS_URL") => {}
        StateStoreUrl::Redis(_) => rows.push(check_redis(config, stores, &place.0).await),
        _ => {
            let advice = format!(
                "the original uses {DEFAULT_REDIS} then: write REDIS_URL={DEFAULT_REDIS} into the file"
            );
            rows.push(Row::act("REDIS_URL (not set)", place.0.clone(), advice));
        }
    }
    let sample = match &stores.recordings {
        RecordingStoreUrl::Disabled => {
            rows.push(Row::ok("DB_DISABLED=true", "no recordings"));
            None
        }
        RecordingStoreUrl::Postgres(_) if unresolved.contains("DATABASE_URL") => None,
        RecordingStoreUrl::Postgres(_) => {
            let (row, sample) = check_postgres(stores, &place.1).await;
            rows.push(row);
            sample
        }
        RecordingStoreUrl::Embedded => {
            let advice = "write the original's DATABASE_URL into the file, or DB_DISABLED=true if it has no recordings";
            let set = theirs.variable("SCALELITE_CONFIG_DIR").unwrap_or("config/database.yml");
            rows.push(Row::act(format!("DATABASE_URL (not set; no {set})"), place.1, advice));
            None
        }
    };
    (rows, sample)
}

async fn resolves(host: &StoreHost) -> bool {
    let address = (host.name.clone(), host.port);
    let looked_up = SERVER_NAMES.run_within(move || address.to_socket_addrs().is_ok()).await;
    looked_up.unwrap_or(false)
}

fn describe_unresolved(host: &StoreHost, services: &BTreeSet<String>) -> Row {
    let StoreHost { setting, name, port } = host;
    let what = match services.contains(name) {
        true => format!(
            "{name} is a service of the compose file, which only its containers can resolve"
        ),
        false => format!("{name} does not resolve here, perhaps only in the original's containers"),
    };
    let advice = format!(
        "{what}: publish the port of its container (127.0.0.1:{port}:{port}), and write {setting} with 127.0.0.1 in \
         place of {name}"
    );
    Row::act(format!("{setting}: {name}:{port}"), "not reachable", advice)
}

async fn check_redis(config: &Config, stores: &StoreSettings, place: &str) -> Row {
    let left = format!("Redis: {place}");
    match read_pool(stores).await {
        Ok(pool) if pool.servers == 0 => Row::note(
            left,
            "reachable, no servers",
            format!(
                "if there should be some, check the database in REDIS_URL and REDIS_NAMESPACE ({})",
                config.redis_namespace
            ),
        ),
        Ok(pool) => Row::ok(
            left,
            format!(
                "{} servers, {} meetings, {} tenants, used as they are",
                pool.servers, pool.meetings, pool.tenants
            ),
        ),
        Err(error) => {
            let advice =
                format!("Redis cannot be used from here: {error}: start it, or correct REDIS_URL");
            Row::act(left, "not reachable", advice)
        }
    }
}

async fn check_postgres(stores: &StoreSettings, place: &str) -> (Row, Option<Sample>) {
    let left = format!("PostgreSQL: {place}");
    match read_recordings(stores, SAMPLE_SIZE).await {
        Ok(Some(found)) => {
            let adopted = match found.is_adopted {
                true => "adopted already",
                false => "adopted when `serve` starts first",
            };
            let row = Row::ok(left, format!("{} recordings, {adopted}", found.recordings));
            (row, Some(found))
        }
        Ok(None) => {
            let advice = "the database has no tables of the original: if it should, check the name of the database in \
                          DATABASE_URL";
            (Row::act(left, "reachable, empty", advice), None)
        }
        Err(error) => {
            let advice = format!(
                "the database cannot be used from here: {error}: start it, or correct DATABASE_URL"
            );
            (Row::act(left, "not reachable", advice), None)
        }
    }
}
