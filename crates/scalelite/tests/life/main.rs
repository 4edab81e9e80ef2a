//! The life of the process: how it listens, ends, survives being killed, shares its store, and what
//! it does when that store fails.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod listening;
#[cfg(test)]
mod many_connections;
#[cfg(test)]
mod regressions;
#[cfg(test)]
mod spread;
#[cfg(test)]
mod stop;
#[cfg(test)]
mod store;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod two_processes;
