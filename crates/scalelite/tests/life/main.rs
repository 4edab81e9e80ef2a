//! Tests of the server process: listening, stopping, being killed, sharing a store with another process,
//! and failures of the store.

#[cfg(test)]
mod backup;
#[cfg(test)]
mod clock_steps;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod listening;
#[cfg(test)]
mod log;
#[cfg(test)]
mod many_connections;
#[cfg(test)]
mod readiness;
#[cfg(test)]
mod regressions;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod service_manager;
#[cfg(test)]
mod spread;
#[cfg(test)]
mod stop;
#[cfg(test)]
mod store;
#[cfg(test)]
mod store_file;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod two_processes;
