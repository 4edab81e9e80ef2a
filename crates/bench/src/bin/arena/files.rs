//! Days and placements as files, so that other programs can write, simulate and score them.
//!
//! A day is a directory: `scenario.json`, `trace.csv.gz` and `history.csv.gz`; see
//! docs/placement.md.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::day::{DAY_END, Day, DayServer, DaySession, PastSession, Second, ServerOutage};
use crate::simulation::Placement;

#[derive(Deserialize, Serialize)]
struct ScenarioFile {
    name: String,
    comfortable_users: f64,
    servers: Vec<ServerEntry>,
    #[serde(default)]
    events: Vec<EventEntry>,
    /// Information for readers; the trace contains these meetings, too.
    #[serde(default)]
    initial_loads: serde_json::Value,
}

#[derive(Deserialize, Serialize)]
struct ServerEntry {
    id: String,
    load_multiplier: f64,
}

#[derive(Deserialize, Serialize)]
struct EventEntry {
    server: String,
    down_s: f64,
    up_s: Option<f64>,
}

#[derive(Deserialize, Serialize)]
struct TraceLine {
    session: String,
    meeting_id: String,
    create_s: f64,
    end_s: f64,
    size_max: f64,
    server: Option<String>,
    joins: String,
    leaves: String,
    cams: String,
    mods: String,
}

#[derive(Deserialize, Serialize)]
struct HistoryLine {
    week: i64,
    weekday: i64,
    meeting_id: String,
    create_s: f64,
    size_max: f64,
    duration_s: f64,
    busy_s: f64,
    cams_max: f64,
}

#[derive(Deserialize, Serialize)]
struct PlacementLine {
    session: String,
    at_s: f64,
    server: String,
}

/// Reads the day in a directory.
pub(crate) fn read_day(directory: &Path) -> Result<Day> {
    let path = directory.join("scenario.json");
    let text = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let scenario: ScenarioFile = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not a scenario", path.display()))?;
    let servers = scenario.servers.iter().enumerate();
    let indices: HashMap<String, usize> =
        servers.map(|(index, server)| (server.id.clone(), index)).collect();
    let index = |id: &str| {
        indices.get(id).copied().with_context(|| format!("{}: unknown server {id}", path.display()))
    };
    let mut outages = Vec::new();
    for event in &scenario.events {
        let (down_at, up_at) = (to_second(event.down_s), event.up_s.map_or(DAY_END * 2, to_second));
        outages.push(ServerOutage { server: index(&event.server)?, down_at, up_at });
    }
    let mut sessions = Vec::new();
    for line in read_table::<TraceLine>(&directory.join("trace.csv.gz"))? {
        let server = line.server.as_deref().filter(|id| !id.is_empty());
        let server = server.map(index).transpose()?;
        sessions.push(parse_session(line, server)?);
    }
    // The simulation relies on this order.
    sessions.sort_by_key(|session| session.created_at);
    let history = read_table::<HistoryLine>(&directory.join("history.csv.gz"))?;
    let to_server = |entry: ServerEntry| {
        let ServerEntry { id, load_multiplier } = entry;
        DayServer { id, load_multiplier }
    };
    Ok(Day {
        name: scenario.name,
        comfortable_users: scenario.comfortable_users,
        servers: scenario.servers.into_iter().map(to_server).collect(),
        outages,
        sessions,
        history: history.into_iter().map(parse_past_session).collect(),
    })
}

/// Writes a day into a directory, which is created if it does not exist.
pub(crate) fn write_day(day: &Day, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)
        .with_context(|| format!("{} cannot be created", directory.display()))?;
    let id =
        |index: usize| day.servers.get(index).map(|server| server.id.clone()).unwrap_or_default();
    let mut initial: HashMap<String, u32> = HashMap::new();
    for session in &day.sessions {
        if let Some(server) = session.server {
            *initial.entry(id(server)).or_default() += session.max_users;
        }
    }
    let events = day.outages.iter().map(|outage| EventEntry {
        server: id(outage.server),
        down_s: outage.down_at as f64,
        up_s: Some(outage.up_at as f64),
    });
    let servers = day.servers.iter().map(|server| ServerEntry {
        id: server.id.clone(),
        load_multiplier: server.load_multiplier,
    });
    let scenario = ScenarioFile {
        name: day.name.clone(),
        comfortable_users: day.comfortable_users,
        servers: servers.collect(),
        events: events.collect(),
        initial_loads: serde_json::to_value(initial)?,
    };
    fs::write(directory.join("scenario.json"), serde_json::to_vec_pretty(&scenario)?)
        .with_context(|| format!("{} cannot be written", directory.display()))?;
    let sessions = day.sessions.iter();
    let sessions = sessions.map(|session| to_trace_line(session, session.server.map(id)));
    write_table(&directory.join("trace.csv.gz"), sessions)?;
    write_table(&directory.join("history.csv.gz"), day.history.iter().map(to_history_line))
}

/// Reads the table of the placements of a day.
pub(crate) fn read_placements(day: &Day, from: impl Read) -> Result<Vec<Placement>> {
    let sessions = day.sessions.iter().enumerate();
    let sessions: HashMap<&str, usize> =
        sessions.map(|(index, session)| (session.name.as_str(), index)).collect();
    let servers = day.servers.iter().enumerate();
    let servers: HashMap<&str, usize> =
        servers.map(|(index, server)| (server.id.as_str(), index)).collect();
    let mut placements = Vec::new();
    for line in csv::Reader::from_reader(from).into_deserialize() {
        let PlacementLine { session, at_s, server } = line.context("a placement is malformed")?;
        let unknown = || format!("unknown session {session} or server {server}");
        let session_index = sessions.get(session.as_str()).copied();
        let server_index = servers.get(server.as_str()).copied();
        let (session, server) = session_index.zip(server_index).with_context(unknown)?;
        placements.push(Placement { session, placed_at: to_second(at_s), server });
    }
    Ok(placements)
}

/// Writes the table of the placements of a day.
pub(crate) fn write_placements(day: &Day, placements: &[Placement], to: impl Write) -> Result<()> {
    let mut writer = csv::Writer::from_writer(to);
    for placement in placements {
        let session = day.sessions[placement.session].name.clone();
        let server = day.servers[placement.server].id.clone();
        writer.serialize(PlacementLine { session, at_s: placement.placed_at as f64, server })?;
    }
    writer.flush().context("placements cannot be written")
}

fn read_table<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let what = || format!("{} cannot be read", path.display());
    let file = BufReader::new(File::open(path).with_context(what)?);
    let lines = csv::Reader::from_reader(MultiGzDecoder::new(file)).into_deserialize();
    lines.collect::<Result<_, _>>().with_context(what)
}

fn write_table<T: Serialize>(path: &Path, lines: impl Iterator<Item = T>) -> Result<()> {
    let what = || format!("{} cannot be written", path.display());
    let file = BufWriter::new(File::create(path).with_context(what)?);
    let mut writer = csv::Writer::from_writer(GzEncoder::new(file, Compression::default()));
    for line in lines {
        writer.serialize(line).with_context(what)?;
    }
    let encoder = writer.into_inner().map_err(|error| anyhow::anyhow!("{error}"));
    encoder.and_then(|encoder| Ok(encoder.finish()?.flush()?)).with_context(what)
}

fn parse_session(line: TraceLine, server: Option<usize>) -> Result<DaySession> {
    let what = || format!("session {}", line.session);
    Ok(DaySession {
        created_at: to_second(line.create_s),
        ended_at: to_second(line.end_s),
        max_users: line.size_max as u32,
        server,
        joins: parse_seconds(&line.joins).with_context(what)?,
        leaves: parse_seconds(&line.leaves).with_context(what)?,
        cams: parse_count(&line.cams),
        mods: parse_count(&line.mods),
        name: line.session,
        meeting_id: line.meeting_id,
    })
}

fn to_trace_line(session: &DaySession, server: Option<String>) -> TraceLine {
    let list = |times: &[Second]| {
        let times: Vec<String> = times.iter().map(Second::to_string).collect();
        times.join(";")
    };
    TraceLine {
        session: session.name.clone(),
        meeting_id: session.meeting_id.clone(),
        create_s: session.created_at as f64,
        end_s: session.ended_at as f64,
        size_max: f64::from(session.max_users),
        server,
        joins: list(&session.joins),
        leaves: list(&session.leaves),
        cams: session.cams.to_string(),
        mods: session.mods.to_string(),
    }
}

fn parse_past_session(line: HistoryLine) -> PastSession {
    PastSession {
        week: line.week,
        weekday: line.weekday,
        meeting_id: line.meeting_id,
        created_at: to_second(line.create_s),
        max_users: line.size_max as u32,
        duration: to_second(line.duration_s),
        busy_time: to_second(line.busy_s),
        max_cams: line.cams_max as u32,
    }
}

fn to_history_line(past: &PastSession) -> HistoryLine {
    HistoryLine {
        week: past.week,
        weekday: past.weekday,
        meeting_id: past.meeting_id.clone(),
        create_s: past.created_at as f64,
        size_max: f64::from(past.max_users),
        duration_s: past.duration as f64,
        busy_s: past.busy_time as f64,
        cams_max: f64::from(past.max_cams),
    }
}

fn parse_seconds(list: &str) -> Result<Vec<Second>> {
    let times = list.split(';').map(str::trim).filter(|text| !text.is_empty());
    times.map(|text| Ok(to_second(text.parse::<f64>()?))).collect()
}

/// Parses a count that only the models of some balancers use; 0 if it is missing or not a number.
fn parse_count(text: &str) -> u32 {
    text.trim().parse::<f64>().map_or(0, |number| number as u32)
}

fn to_second(at: f64) -> Second {
    at.round() as Second
}
