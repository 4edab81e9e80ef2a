//! The balancer as front-ends, servers and attackers see it: the built binary over sockets.

#[cfg(test)]
mod analytics;
#[cfg(test)]
mod bodies;
mod callbacks;
#[cfg(test)]
mod checksums;
#[cfg(test)]
mod creates;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod failover;
mod failures;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod joins;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod long;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod paths;
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
