//! Tests of the simulator over HTTP, as a client uses it.

#[cfg(test)]
mod aliases;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod client;
#[cfg(test)]
mod creates;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod joins;
#[cfg(test)]
mod odd_content;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod validation;
#[cfg(test)]
mod web_servers;
