//! Recordings on their way in: the built binary, its directories, and BBB's side of the transfer.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod full;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod house;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod script;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod trash;
#[cfg(test)]
mod uploads;
#[cfg(test)]
mod whole;
