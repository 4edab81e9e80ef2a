//! Recordings: import, storage, deletion and the script of BigBlueButton servers, tested on the
//! built binary.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod full_disk;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod index;
#[cfg(test)]
mod killed_moves;
#[cfg(test)]
mod links;
#[cfg(test)]
mod script;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod test_storage;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod trash;
#[cfg(test)]
mod undelete;
#[cfg(test)]
mod uploads;
#[cfg(test)]
mod whole_life;
