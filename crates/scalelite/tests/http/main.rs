//! The balancer as front-ends, servers and attackers see it: the built binary over sockets.

#[cfg(test)]
mod analytics;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod bucket;
#[cfg(test)]
mod callbacks;
#[cfg(test)]
mod checksums;
#[cfg(test)]
mod creates;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod joins;
#[cfg(test)]
mod links;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod long;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod odd_answers;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod playback;
#[cfg(test)]
mod playback_service;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod regressions_input;
#[cfg(test)]
mod regressions_servers;
#[cfg(test)]
mod tenants;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod tracks;
