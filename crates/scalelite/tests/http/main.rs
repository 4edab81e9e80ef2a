//! Tests of the HTTP interface: the built binary over sockets, with simulated BBB servers.

#[cfg(test)]
mod acme;
#[cfg(test)]
mod api_client;
#[cfg(test)]
mod api_v1;
#[cfg(test)]
mod api_v1_input;
#[cfg(test)]
mod api_v1_recordings;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod callbacks;
#[cfg(test)]
mod checksums;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod creates;
#[cfg(test)]
mod deployments;
#[cfg(test)]
mod dial_in;
#[cfg(test)]
mod drains;
#[cfg(test)]
mod end_callbacks;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod fuzzer;
#[cfg(test)]
mod hanging_files;
#[cfg(test)]
mod heartbeats;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod hostile_servers;
#[cfg(test)]
mod joins;
#[cfg(test)]
mod learning_records;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod long_requests;
#[cfg(test)]
mod management;
#[cfg(test)]
mod management_access;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod notifications;
#[cfg(test)]
mod odd_answers;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod playback_files;
#[cfg(test)]
mod playback_host;
#[cfg(test)]
mod playback_links;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod proxy_headers;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod regressions_input;
#[cfg(test)]
mod regressions_servers;
#[cfg(test)]
mod remote_commands;
#[cfg(test)]
mod revivals;
#[cfg(test)]
mod s3_playback;
#[cfg(test)]
mod schemathesis;
#[cfg(test)]
mod slow_servers;
#[cfg(test)]
mod tenants;
#[cfg(test)]
mod test_playback;
#[cfg(test)]
mod text_tracks;
#[cfg(test)]
mod third_party_tools;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod tls_tools;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod twins;
#[cfg(test)]
mod wrong_urls;
