//! Takes samples of the pool and its servers, for the plots of the console. One replica does it in every minute.

use std::collections::BTreeMap;

use domain::samples::{POOL_SUBJECT, SampleSpan, UsageSample, read_block};
use domain::{AdminState, Server, ServerId, Timestamp, twins};

use crate::context::App;
use crate::ports::{SampleBlock, StoreError};

/// Returns the subject of the samples of a server.
#[must_use]
pub fn server_subject(id: &ServerId) -> String {
    format!("server/{id}")
}

/// Takes a sample of every server and of the pool. If the last full hour has no samples of the hour yet, they are made of its minutes, and old
/// samples are forgotten.
///
/// # Errors
/// When the store fails.
pub async fn take_samples(app: &App) -> Result<(), StoreError> {
    let now = app.clock.now();
    let servers = app.pool.list_servers().await?;
    let samples = sample_servers(&servers);
    append(app, SampleSpan::Minute, now, &samples).await?;
    let last_hour =
        Timestamp(SampleSpan::Minute.block_start(now).0 - SampleSpan::Minute.block_ms());
    if is_summed_up(app, last_hour).await? {
        return Ok(());
    }
    sum_up_hour(app, last_hour).await?;
    if app.clock_watch.may_delete_by_age(now) {
        for span in [SampleSpan::Minute, SampleSpan::Hour] {
            let before = Timestamp(now.0 - span.kept_ms());
            app.samples.forget_samples(span, before).await?;
        }
    }
    Ok(())
}

/// The samples of subjects.
type Samples = BTreeMap<String, UsageSample>;

fn sample_servers(servers: &[Server]) -> Samples {
    let total = twins::total_stats(servers);
    let enabled = || servers.iter().filter(|server| server.state == AdminState::Enabled);
    let pool = UsageSample {
        users: total.users,
        meetings: total.meetings,
        load: enabled().filter_map(|server| server.load).sum(),
        online: enabled().all(Server::is_online),
    };
    let sample = |server: &Server| UsageSample {
        users: server.stats.users,
        meetings: server.stats.meetings,
        load: server.load.unwrap_or_default(),
        online: server.is_online(),
    };
    let of_servers = servers.iter().map(|server| (server_subject(&server.id), sample(server)));
    of_servers.chain([(POOL_SUBJECT.to_owned(), pool)]).collect()
}

async fn append(
    app: &App,
    span: SampleSpan,
    time: Timestamp,
    samples: &Samples,
) -> Result<(), StoreError> {
    let to_entry =
        |(subject, sample): (&String, &UsageSample)| (subject.clone(), sample.to_entry(span, time));
    let entries: Vec<(String, String)> = samples.iter().map(to_entry).collect();
    app.samples.append_samples(span, span.block_start(time), &entries).await
}

/// Whether the pool has a sample of this hour.
async fn is_summed_up(app: &App, hour: Timestamp) -> Result<bool, StoreError> {
    let day = SampleSpan::Hour.block_start(hour);
    let blocks = app.samples.list_sample_blocks(SampleSpan::Hour, POOL_SUBJECT, day).await?;
    Ok(read_blocks(SampleSpan::Hour, &blocks).iter().any(|(time, _)| *time == hour))
}

async fn sum_up_hour(app: &App, hour: Timestamp) -> Result<(), StoreError> {
    let blocks = app.samples.list_blocks_at(SampleSpan::Minute, hour).await?;
    let summed = blocks.iter().filter_map(|block| {
        let samples = read_block(SampleSpan::Minute, block.start, &block.entries).into_iter();
        let highest = samples.map(|(_, sample)| sample).reduce(UsageSample::max)?;
        Some((block.subject.clone(), highest))
    });
    append(app, SampleSpan::Hour, hour, &summed.collect()).await
}

fn read_blocks(span: SampleSpan, blocks: &[SampleBlock]) -> Vec<(Timestamp, UsageSample)> {
    blocks.iter().flat_map(|block| read_block(span, block.start, &block.entries)).collect()
}

/// Lists the samples of a subject since a time, by time.
///
/// # Errors
/// When the store fails.
pub async fn list_samples(
    app: &App,
    span: SampleSpan,
    subject: &str,
    since: Timestamp,
) -> Result<Vec<(Timestamp, UsageSample)>, StoreError> {
    let blocks = app.samples.list_sample_blocks(span, subject, span.block_start(since)).await?;
    let mut samples = read_blocks(span, &blocks);
    samples.retain(|(time, _)| *time >= since);
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::test_app::test_app;

    #[tokio::test(start_paused = true)]
    async fn minutes_are_kept_for_two_days_and_hours_for_longer() {
        let (app, _) = test_app(&["a.test"], |_| None).await;
        let id = app.pool.list_servers().await.unwrap()[0].id.clone();
        let start = app.clock.now();
        for _ in 0..(3 * 24 * 60) {
            take_samples(&app).await.unwrap();
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        let list = async |span, subject: &str| {
            list_samples(&app, span, subject, Timestamp(0)).await.unwrap()
        };
        let minutes = list(SampleSpan::Minute, POOL_SUBJECT).await;
        assert!((48 * 60..=50 * 60).contains(&minutes.len()), "{}", minutes.len());
        assert!(minutes.windows(2).all(|pair| pair[1].0.0 - pair[0].0.0 == 60_000));
        let hours = list(SampleSpan::Hour, &server_subject(&id)).await;
        assert!((71..=72).contains(&hours.len()), "{}", hours.len());
        assert!(hours[1].0 > start && hours.iter().all(|(_, sample)| sample.online));
        let since = Timestamp(app.clock.now().0 - 600_000);
        let newest = list_samples(&app, SampleSpan::Minute, POOL_SUBJECT, since).await.unwrap();
        assert!(newest.len() >= 9 && newest.iter().all(|(time, _)| *time >= since));
    }
}
