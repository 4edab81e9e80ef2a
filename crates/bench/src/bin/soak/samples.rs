//! What is sampled, and whether it grows.

use std::fmt;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use testkit::product::Setup;

use crate::Replicas;
use crate::load::Clients;

/// How much higher the end may be than the time after the first minutes.
const MAX_GROWTH: f64 = 1.25;
/// What is too small to matter: MiB, descriptors, ms.
const NOISE: f64 = 8.0;

/// What was found at a time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) minute: f64,
    /// Resident memory of all replicas, in MiB.
    pub(crate) memory_mib: f64,
    /// Their open files and sockets.
    pub(crate) descriptors: f64,
    /// The state store, in MiB.
    pub(crate) store_mib: f64,
    /// Creates that succeeded, per second.
    pub(crate) creates_per_s: f64,
    pub(crate) create_p50_ms: f64,
    pub(crate) create_p99_ms: f64,
    pub(crate) join_p50_ms: f64,
    pub(crate) join_p99_ms: f64,
    pub(crate) failed: f64,
    pub(crate) left_out: f64,
}

/// The figures that must not grow, with their names.
type Figure = (&'static str, fn(&Figures) -> f64);
const FIGURES: [Figure; 10] = [
    ("memory, MiB", |figures| figures.memory_mib),
    ("descriptors", |figures| figures.descriptors),
    ("store, MiB", |figures| figures.store_mib),
    ("create p50, ms", |figures| figures.create_p50_ms),
    ("create p99, ms", |figures| figures.create_p99_ms),
    ("join p50, ms", |figures| figures.join_p50_ms),
    ("join p99, ms", |figures| figures.join_p99_ms),
    ("creates per s", |figures| figures.creates_per_s),
    ("failed calls", |figures| figures.failed),
    ("left out", |figures| figures.left_out),
];
/// Of these the first ones are judged; the others are only told.
const JUDGED: usize = 7;

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:6.1} min", self.minute)?;
        FIGURES.iter().try_for_each(|(name, value)| write!(f, "; {name} {:.1}", value(self)))
    }
}

/// Looks at replicas and stores, and takes what the clients have measured.
pub(crate) async fn take_figures(
    elapsed: Duration,
    setup: &Setup,
    replicas: &Replicas,
    clients: &Clients,
) -> Figures {
    let (mut memory_mib, mut descriptors) = (0.0, 0.0);
    for replica in replicas.iter() {
        // One that is being restarted is waited for.
        let replica = replica.lock().await;
        memory_mib += replica.memory_kib("VmRSS").unwrap_or_default() as f64 / 1024.0;
        descriptors += replica.count_descriptors().unwrap_or_default() as f64;
    }
    let mut measured = clients.take_measured();
    let creates = measured.creates.len() as f64;
    Figures {
        minute: elapsed.as_secs_f64() / 60.0,
        memory_mib,
        descriptors,
        store_mib: measure_store(setup).await,
        creates_per_s: creates / crate::SAMPLE_INTERVAL.as_secs_f64(),
        create_p50_ms: percentile(&mut measured.creates, 0.5),
        create_p99_ms: percentile(&mut measured.creates, 0.99),
        join_p50_ms: percentile(&mut measured.joins, 0.5),
        join_p99_ms: percentile(&mut measured.joins, 0.99),
        failed: measured.failed as f64,
        left_out: measured.left_out as f64,
    }
}

fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1) as f64;
    // The index is within the list, and never negative.
    values.get((last * share) as usize).copied().unwrap_or_default()
}

/// The size of the state store in MiB.
async fn measure_store(setup: &Setup) -> f64 {
    let stores = setup.stores();
    let bytes = if let Some(redis) = stores.redis() {
        let info = redis.run_command_in(stores.redis_database(), &["INFO", "memory"]).await;
        let text = info.map(|reply| reply.text()).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("used_memory:"));
        line.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or_default()
    } else if let Some(postgres) = stores.postgres() {
        let sql = "SELECT pg_database_size(current_database())";
        let size = postgres.psql(stores.postgres_database(), sql).await.unwrap_or_default();
        size.trim().parse().unwrap_or_default()
    } else {
        directory_bytes(&setup.folder().join("data"))
    };
    bytes as f64 / f64::from(1 << 20)
}

fn directory_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// The samples as a table.
pub(crate) fn to_csv(figures: &[Figures]) -> String {
    let mut text = String::from("minute");
    for (name, _) in FIGURES {
        let _ = write!(text, ",{}", name.replace(", ", "_").replace(' ', "_"));
    }
    for sample in figures {
        let _ = write!(text, "\n{:.2}", sample.minute);
        for (_, value) in FIGURES {
            let _ = write!(text, ",{:.2}", value(sample));
        }
    }
    text.push('\n');
    text
}

/// The figures after the first minutes and at the end.
pub(crate) struct Comparison(Vec<(&'static str, f64, f64)>);

/// Compares the medians of the first and of the last third of what follows the first minutes.
pub(crate) fn compare(figures: &[Figures], warm_up: Duration) -> Comparison {
    let counted: Vec<&Figures> =
        figures.iter().filter(|sample| sample.minute * 60.0 >= warm_up.as_secs_f64()).collect();
    let third = counted.len().div_ceil(3);
    let median = |samples: &[&Figures], value: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = samples.iter().map(|sample| value(sample)).collect();
        percentile(&mut values, 0.5)
    };
    let (early, late) = (&counted[..third], &counted[counted.len() - third..]);
    let row = |(name, value): &Figure| (*name, median(early, *value), median(late, *value));
    Comparison(FIGURES.iter().map(row).collect())
}

impl Comparison {
    /// Whether nothing has grown by more than noise.
    pub(crate) fn is_flat(&self) -> bool {
        let mut judged = self.0.iter().take(JUDGED);
        judged.all(|(_, early, late)| late - early <= NOISE || late / early.max(1e-9) <= MAX_GROWTH)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| figure (median) | after the first minutes | at the end | ratio |\n|---|---|---|---|"
        )?;
        for (name, early, late) in &self.0 {
            writeln!(f, "| {name} | {early:.1} | {late:.1} | {:.2} |", late / early.max(1e-9))?;
        }
        let outcome = if self.is_flat() { "flat" } else { "NOT flat" };
        write!(f, "{outcome}: a growth of up to {MAX_GROWTH} or {NOISE} is noise")
    }
}
