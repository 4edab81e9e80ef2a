//! The import of a recording's archive, compared with `tar -x` and `mv` of the same archive.

use super::MeasurementPlan;
use crate::clock::now;
use crate::product::{Product, Program};
use crate::report::ReportRow;
use crate::stats::median;
use anyhow::{Context, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use testkit::samples::{SampleRecording, recording_dir_settings};
use testkit::seeded_rng::SeededRng;
use tokio::process::Command;

// About the size of the recording of a lecture of one hour.
const VIDEO_MIB: usize = 128;
const SLIDES: usize = 800;
const SLIDE_KIB: usize = 40;
const MIB: usize = 1 << 20;
const FORMATS: [&str; 2] = ["presentation", "video"];
/// Target, as a share of the baseline's speed.
const MIN_RATIO: f64 = 0.7;

/// Durations in seconds of the import and of the baseline, the latter without and with the wait until
/// the files are on disk. The import always waits for that.
#[derive(Default)]
struct ImportTimes {
    product: Vec<f64>,
    baseline: Vec<f64>,
    baseline_on_disk: Vec<f64>,
}

pub(super) async fn run(plan: &MeasurementPlan) -> anyhow::Result<Vec<ReportRow>> {
    let root = tempfile::Builder::new().prefix("load-import-").tempdir()?;
    let product = with_recording_dirs(&plan.program, root.path()).start().await?;
    let mut times = ImportTimes::default();
    let mut size = 0;
    for round in 0..plan.rounds as u64 {
        let archive = create_archive(root.path(), 2 * round + 1).await?;
        size = fs::metadata(&archive)?.len();
        let (plain, on_disk) = unpack_with_tar(root.path(), &archive).await?;
        times.baseline.push(plain);
        times.baseline_on_disk.push(on_disk);
        sync_disks().await?;
        let name = archive.to_string_lossy().into_owned();
        times
            .product
            .push(product.run_command(&["recordings", "import", &name]).await?.as_secs_f64());
        ensure!(!archive.exists(), "{name} was not imported");
    }
    product.stop().await?;
    Ok(to_rows(&times, size))
}

/// Returns the balancer with directories for recordings.
pub(super) fn with_recording_dirs(program: &Program, root: &Path) -> Program {
    let mut program = program.clone();
    for (name, directory) in recording_dir_settings(root) {
        program.settings.push((name.to_owned(), directory.to_string_lossy().into_owned()));
    }
    program
}

/// Imports a small recording, and returns it.
pub(super) async fn import_sample(
    product: &Product,
    root: &Path,
) -> anyhow::Result<SampleRecording> {
    let sample = SampleRecording::new(1);
    let archive = root.join(format!("{}.tar", sample.record_id));
    fs::write(&archive, sample.archive(&["video"]))?;
    product.run_command(&["recordings", "import", &archive.to_string_lossy()]).await?;
    Ok(sample)
}

/// Writes the archive of a recording with a video and many slides into the spool directory.
async fn create_archive(root: &Path, number: u64) -> anyhow::Result<PathBuf> {
    let sample = SampleRecording::new(number);
    let source = root.join("source");
    for format in FORMATS {
        for (path, content) in sample.files(format) {
            write_file(&source.join(format).join(&sample.record_id).join(path), &content)?;
        }
    }
    let format_dir = |format: &str| source.join(format).join(&sample.record_id);
    write_file(&format_dir("video").join("video-0.m4v"), &random_bytes(VIDEO_MIB * MIB))?;
    for slide in 0..SLIDES {
        let path = format_dir("presentation").join(format!("presentation/p2/slide-{slide}.png"));
        write_file(&path, &random_bytes(SLIDE_KIB * 1024))?;
    }
    let archive = root.join("spool").join(format!("{}.tar", sample.record_id));
    fs::create_dir_all(root.join("spool"))?;
    run_to_success(
        Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&source).args(FORMATS),
    )
    .await?;
    fs::remove_dir_all(&source)?;
    sync_disks().await?;
    Ok(archive)
}

/// Unpacks an archive as a script would; returns the seconds without and with the wait until the
/// files are on disk.
async fn unpack_with_tar(root: &Path, archive: &Path) -> anyhow::Result<(f64, f64)> {
    let (work, to) = (root.join("baseline-work"), root.join("baseline"));
    fs::create_dir_all(&work)?;
    let started = now();
    run_to_success(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(&work)).await?;
    for format in FORMATS {
        fs::create_dir_all(to.join(format))?;
        for entry in fs::read_dir(work.join(format))? {
            let entry = entry?;
            let to = to.join(format).join(entry.file_name());
            run_to_success(Command::new("mv").arg(entry.path()).arg(to)).await?;
        }
    }
    let plain = (now() - started).as_secs_f64();
    run_to_success(Command::new("sync").arg("-f").arg(&to)).await?;
    let on_disk = (now() - started).as_secs_f64();
    fs::remove_dir_all(&work)?;
    fs::remove_dir_all(&to)?;
    Ok((plain, on_disk))
}

/// Waits until everything that was written is on disk, so that the next measurement does not have to.
async fn sync_disks() -> anyhow::Result<()> {
    run_to_success(&mut Command::new("sync")).await
}

async fn run_to_success(command: &mut Command) -> anyhow::Result<()> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let status = command.kill_on_drop(true).status().await.with_context(|| name.clone())?;
    ensure!(status.success(), "{name}: {status}");
    Ok(())
}

fn write_file(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    fs::create_dir_all(path.parent().context("a path without a directory")?)?;
    Ok(fs::write(path, content)?)
}

/// Returns bytes that cannot be compressed.
fn random_bytes(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    SeededRng::new(1).fill_bytes(&mut bytes);
    bytes
}

fn to_rows(times: &ImportTimes, size: u64) -> Vec<ReportRow> {
    let speed = |times: &[f64]| {
        let mib = size as f64 / MIB as f64;
        format!("{:.0} MiB/s", mib / median(times.iter().copied()))
    };
    let label = format!("import of {} MiB", size / MIB as u64);
    let to_row = |baseline: &[f64], name: &str, has_target: bool| {
        let pairs = baseline.iter().zip(&times.product);
        let ratio = median(pairs.map(|(baseline, product)| baseline / product));
        let target = has_target.then(|| (format!("ratio ≥ {MIN_RATIO}"), ratio >= MIN_RATIO));
        ReportRow {
            name: format!("{label}, baseline: {name}"),
            product: speed(&times.product),
            baseline: speed(baseline),
            ratio: Some(ratio),
            target,
            ..ReportRow::default()
        }
    };
    vec![
        to_row(&times.baseline_on_disk, "tar -x, mv and sync", true),
        to_row(&times.baseline, "tar -x and mv, not on disk yet", false),
    ]
}
