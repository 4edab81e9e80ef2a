//! The choice among servers with equal costs: evenly distributed, and the same for the same meeting.

use domain::placement::meeting_seed;

/// Returns the server with the lowest cost; among equals, one that depends on the meeting.
pub(crate) fn pick_lowest(meeting_id: &str, costs: impl Iterator<Item = (usize, f64)>) -> usize {
    let costs: Vec<(usize, f64)> = costs.collect();
    let least = costs.iter().map(|(_, cost)| *cost).fold(f64::INFINITY, f64::min);
    let equals: Vec<usize> =
        costs.iter().filter(|(_, cost)| *cost <= least).map(|(index, _)| *index).collect();
    let number = meeting_seed(meeting_id) % (equals.len().max(1) as u64);
    usize::try_from(number).ok().and_then(|number| equals.get(number)).copied().unwrap_or(0)
}
