//! Recordings on their way in: the built binary, its directories, and BBB's side of the transfer.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod script;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod uploads;
