//! The simulator as its clients see it: over sockets.

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
