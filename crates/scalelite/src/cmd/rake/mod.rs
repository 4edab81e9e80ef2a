//! `rake`: runs the original's rake tasks, so that existing scripts keep working. The tasks call the
//! same functions as the other commands.

mod command_line;
mod task_list;

use std::ffi::OsString;
use std::path::Path;

use self::command_line::{RakeCall, RakeTask, TaskArguments, parse_command_line};
use super::balancer::Balancer;
use super::poll::PollTarget;
use super::servers::{change, list, sync};
use super::{CommandFailure, meetings, poll, recordings, status, tenants};
use crate::output::print_line;
use crate::wiring::data_dir::Creation;

/// The task that imports recordings until it is stopped.
const WATCH_TASK: &str = "recordings:watch";

/// The arguments of the program if it was called under the name of another one: `rake` and `rails` are
/// followed by tasks, `bundle exec` by one of these two.
pub fn replace_called_name(arguments: Vec<OsString>) -> Vec<OsString> {
    let base_name = |word: &OsString| {
        Path::new(word).file_name().map(|name| name.to_string_lossy().into_owned())
    };
    let is_rake = |word: Option<&OsString>| {
        let name = word.and_then(base_name);
        name.is_some_and(|name| name == "rake" || name == "rails")
    };
    let first = arguments.first();
    let is_bundle = first.and_then(base_name).is_some_and(|name| name == "bundle")
        && arguments.get(1).is_some_and(|word| word == "exec");
    let count = match () {
        () if is_rake(first) => 1,
        () if is_bundle && is_rake(arguments.get(2)) => 3,
        () => return arguments,
    };
    let names = ["scalelite", "rake"].into_iter().map(OsString::from);
    names.chain(arguments.into_iter().skip(count)).collect()
}

/// Tasks that add something, and so may make a store.
const ADDING_TASKS: [&str; 5] =
    ["servers:add", "servers:addAll", "servers:sync", "tenants:add", "tenantSettings:add"];

/// Runs a call that needs no store, such as tasks of Rails that have nothing to do here; `None` if it needs one.
pub fn run_without_store(words: &[String]) -> Option<Result<(), CommandFailure>> {
    match parse_command_line(words) {
        Ok(RakeCall::Run(tasks)) => {
            let results = tasks.iter().map(|task| task_list::prepare_simple_task(&task.name));
            // Nothing is done before it is known that none of them needs a store.
            let simple = results.collect::<Option<Vec<_>>>()?;
            Some(simple.into_iter().try_for_each(|run| run()))
        }
        Ok(RakeCall::List(pattern)) => {
            task_list::print_tasks(&pattern);
            Some(Ok(()))
        }
        Ok(RakeCall::DryRun(tasks)) => {
            task_list::print_dry_run(&tasks);
            Some(Ok(()))
        }
        Ok(RakeCall::Version) => {
            print_line(concat!("scalelite, version ", env!("CARGO_PKG_VERSION")));
            Some(Ok(()))
        }
        Err(failure) => Some(Err(failure)),
    }
}

/// What these tasks may create.
pub fn creation_for(words: &[String]) -> Creation {
    let adds = |task: &RakeTask| ADDING_TASKS.contains(&task.name.as_str());
    match parse_command_line(words) {
        Ok(RakeCall::Run(tasks)) if tasks.iter().any(adds) => Creation::NamedStore,
        _ => Creation::Nothing,
    }
}

/// Splits the tasks of a call at the one that imports recordings: those before it, and whether it is there.
pub fn split_at_watch(words: &[String]) -> (&[String], bool) {
    let is_run = matches!(parse_command_line(words), Ok(RakeCall::Run(_)));
    match words.iter().position(|word| word == WATCH_TASK).filter(|_| is_run) {
        Some(at) => (words.get(..at).unwrap_or_default(), true),
        None => (words, false),
    }
}

/// Runs tasks one after the other, if [`run_without_store`] does not.
pub async fn run(balancer: &Balancer, words: &[String]) -> Result<(), CommandFailure> {
    let RakeCall::Run(tasks) = parse_command_line(words)? else { return Ok(()) };
    for task in tasks {
        match task_list::prepare_simple_task(&task.name) {
            Some(run) => run()?,
            None => run_task(balancer, &task.name, &task.arguments).await?,
        }
    }
    Ok(())
}

async fn run_task(
    balancer: &Balancer,
    name: &str,
    args: &TaskArguments,
) -> Result<(), CommandFailure> {
    match name {
        "servers" => list::print_plain(balancer).await,
        "servers:add" => {
            change::add(balancer, args.get(0), args.get(1), args.get(2), args.get(3)).await
        }
        "servers:update" => {
            change::update(balancer, &args.id(), args.get(1), args.get(2), args.get_raw(3)).await
        }
        "servers:remove" => change::remove(balancer, &args.id()).await,
        "servers:enable" => change::enable(balancer, &args.id()).await,
        "servers:cordon" => change::cordon(balancer, &args.id()).await,
        "servers:disable" => change::disable(balancer, &args.id(), false).await,
        "servers:panic" => change::panic(balancer, &args.id(), args.is_on(1), args.is_on(2)).await,
        "servers:loadMultiplier" => {
            change::set_load_multiplier(balancer, &args.id(), args.get(1)).await
        }
        "servers:tag" => change::set_tag(balancer, &args.id(), args.get(1)).await,
        "servers:addAll" => sync::add_all(balancer.here(name)?, Path::new(&args.id())).await,
        "servers:sync" => {
            let path = args.get(0);
            let mode = args.get(1).unwrap_or_else(|| "cordon".to_owned());
            sync::sync(
                balancer.here(name)?,
                path.as_deref().map(Path::new),
                &mode,
                args.is_on(2),
                false,
            )
            .await
        }
        "servers:yaml" => list::print_yaml(balancer, args.is_on(0)).await,
        "servers:meeting_list" => list_server_meetings(balancer, args).await,
        "meetings" | "meetings:list" => {
            meetings::list(balancer, &meeting_ids(balancer, args).await?).await
        }
        "meetings:info" => match args.get(0) {
            Some(id) => meetings::show_info(balancer, &id).await,
            None => Err(CommandFailure("Error: Please input a meetingID!".to_owned())),
        },
        "meetings:end" => meetings::end(balancer, &meeting_ids(balancer, args).await?, false).await,
        "poll:all" => poll::run(balancer, PollTarget::All, true).await,
        "poll:servers" => poll::run(balancer, PollTarget::Servers, true).await,
        "poll:meetings" => poll::run(balancer, PollTarget::Meetings, true).await,
        "poll:versions" => poll::run(balancer, PollTarget::Versions, true).await,
        // The original succeeds whatever it finds.
        "recordings:update" => {
            recordings::report_files(balancer.here(name)?, true, false).await.map(drop)
        }
        "recordings:addToTenant" => recordings::add_to_tenant(balancer, &args.id(), &[]).await,
        "status" => status::print_rake_table(balancer).await,
        "liveness" => poll::check_liveness(balancer.here(name)?).await,
        name if name.starts_with("tenant") => run_tenant_task(balancer, name, args).await,
        unknown => Err(unknown_task(unknown)),
    }
}

/// Lists the meetings of the servers with these ids, which colons separate, or of all servers.
async fn list_server_meetings(
    balancer: &Balancer,
    args: &TaskArguments,
) -> Result<(), CommandFailure> {
    let ids = args.non_empty();
    if ids.is_empty() {
        return list::print_meetings(balancer, None).await;
    }
    for id in ids.iter().flat_map(|list| list.split(':')).filter(|id| !id.is_empty()) {
        list::print_meetings(balancer, Some(id)).await?;
    }
    Ok(())
}

/// The ids of meetings in a list separated by colons. An id that contains colons itself stays whole if a
/// meeting has it.
async fn meeting_ids(
    balancer: &Balancer,
    args: &TaskArguments,
) -> Result<Vec<String>, CommandFailure> {
    let mut ids = Vec::new();
    for list in args.non_empty() {
        let whole = vec![list];
        if balancer.list_meetings(&whole).await?.is_empty() {
            let parts = whole.iter().flat_map(|list| list.split(':'));
            ids.extend(parts.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()));
        } else {
            ids.extend(whole);
        }
    }
    if ids.is_empty() && !args.non_empty().is_empty() {
        // An empty list would mean all meetings.
        return Err(CommandFailure("ERROR: no meeting is named".to_owned()));
    }
    Ok(ids)
}

async fn run_tenant_task(
    balancer: &Balancer,
    name: &str,
    args: &TaskArguments,
) -> Result<(), CommandFailure> {
    match name {
        "tenants" | "tenants:showAll" => tenants::list(balancer).await,
        "tenants:add" => tenants::add(balancer, args.get(0), args.get(1)).await,
        "tenants:update" => tenants::update(balancer, args.get(0), args.get(1), args.get(2)).await,
        "tenants:update_lrs_basic" => tenants::update_lrs_basic(balancer, args.first()).await,
        "tenants:update_lrs_kc" => tenants::update_lrs_kc(balancer, args.first()).await,
        "tenants:remove" => tenants::remove(balancer, &args.id()).await,
        "tenantSettings" => tenants::list_settings(balancer).await,
        "tenantSettings:add" => tenants::add_setting(balancer, args.first()).await,
        "tenantSettings:remove" => tenants::remove_setting(balancer, &args.id()).await,
        unknown => Err(unknown_task(unknown)),
    }
}

fn unknown_task(name: &str) -> CommandFailure {
    CommandFailure(format!("ERROR: unknown task {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_of_the_program_are_understood() {
        for (line, replaced) in [
            ("scalelite servers", "scalelite servers"),
            ("/usr/local/bin/rake servers status", "scalelite rake servers status"),
            ("./bin/rake", "scalelite rake"),
            ("bin/rails db:migrate", "scalelite rake db:migrate"),
            ("bundle exec rake status", "scalelite rake status"),
            ("bundle exec ./bin/rake -T", "scalelite rake -T"),
            ("bundle install", "bundle install"),
            ("bundle exec ruby", "bundle exec ruby"),
        ] {
            let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
            assert_eq!(replace_called_name(words(line)), words(replaced), "{line}");
        }
    }

    #[test]
    fn the_task_that_imports_recordings_ends_a_call() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let line = words("db:migrate recordings:watch");
        assert_eq!(split_at_watch(&line), (&line[..1], true));
        for line in ["servers", "-n recordings:watch", "-T recordings:watch"].map(words) {
            assert_eq!(split_at_watch(&line), (&line[..], false));
        }
    }
}
