//! The hosts that the addresses of the stores name.

use adapters::postgres::address::PgOptions;
use adapters::redis::address::RedisEndpoint;

use super::{RecordingStoreUrl, StateStoreUrl, StoreSettings};

/// The port of PostgreSQL, if an address names none.
const POSTGRES_PORT: u16 = 5432;

/// A host that must be found by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreHost {
    /// The setting that names it.
    pub setting: &'static str,
    /// The name or address.
    pub name: String,
    /// The port.
    pub port: u16,
}

impl StoreSettings {
    /// Lists the hosts of both stores; none for Unix sockets and embedded stores.
    pub fn hosts(&self) -> Vec<StoreHost> {
        let mut hosts = Vec::new();
        if let StateStoreUrl::Redis(redis) = &self.state {
            let mut add = |name: &str, port: u16| {
                hosts.push(StoreHost { setting: "REDIS_URL", name: name.to_owned(), port });
            };
            match &redis.address.endpoint {
                RedisEndpoint::Tcp { host, port, .. } => add(host, *port),
                RedisEndpoint::Sentinel { sentinels, .. } => {
                    sentinels.iter().for_each(|(host, port)| add(host, *port));
                }
                RedisEndpoint::Unix(_) => {}
            }
        }
        let postgres: Option<&PgOptions> = match (&self.state, &self.recordings) {
            (_, RecordingStoreUrl::Postgres(options)) | (StateStoreUrl::Postgres(options), _) => {
                Some(options)
            }
            _ => None,
        };
        for (number, name) in
            postgres.iter().flat_map(|options| options.address.host_names()).enumerate()
        {
            let ports =
                postgres.map(|options| options.address.config.get_ports()).unwrap_or_default();
            let port = ports.get(number).or(ports.first()).copied().unwrap_or(POSTGRES_PORT);
            hosts.push(StoreHost { setting: "DATABASE_URL", name, port });
        }
        hosts
    }
}
