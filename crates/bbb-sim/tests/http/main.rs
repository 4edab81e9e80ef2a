//! Tests of the simulator over HTTP, as a client uses it.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod client;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod joins;
#[cfg(test)]
mod pool;
