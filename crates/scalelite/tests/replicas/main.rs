//! Several replicas on one shared store: a replica is killed, or the store is restarted, hangs, is
//! not running yet or has lost all data. Each test runs on each kind of shared store.

#[cfg(test)]
mod ends;
#[cfg(test)]
mod hangs;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod load;
#[cfg(test)]
mod losses;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod missing_store;
#[cfg(test)]
mod polls;
#[cfg(test)]
mod proof;
#[cfg(test)]
mod races;
#[cfg(test)]
mod readiness;
#[cfg(test)]
mod restarts;
#[cfg(test)]
mod revivals;
#[cfg(test)]
mod tools;
