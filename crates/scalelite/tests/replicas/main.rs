//! Several replicas on one shared store, and what becomes of them when a replica dies, when the
//! store is restarted, hangs, is not there yet or has lost everything. Each story is told over each
//! kind of shared store.

#[cfg(test)]
mod hangs;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod load;
#[cfg(test)]
mod losses;
#[cfg(test)]
mod missing_store;
#[cfg(test)]
mod polls;
#[cfg(test)]
mod proof;
#[cfg(test)]
mod races;
#[cfg(test)]
mod restarts;
#[cfg(test)]
mod tools;
