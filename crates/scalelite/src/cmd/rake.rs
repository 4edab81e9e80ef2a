//! `rake`: runs the original's rake tasks, so that existing scripts keep working. The tasks call the
//! same functions as the other commands.

use std::path::Path;

use super::poll::PollTarget;
use super::servers::{change, list, sync};
use super::{CommandContext, CommandFailure, meetings, poll, recordings, status, tenants};

/// Runs tasks one after the other.
pub async fn run(context: &CommandContext, tasks: &[String]) -> Result<(), CommandFailure> {
    for task in tasks {
        let (name, arguments) = parse_task(task).ok_or_else(|| {
            CommandFailure(format!("ERROR: `{task}` is not a task of the form name[a,b]"))
        })?;
        run_task(context, name, &TaskArguments(arguments)).await?;
    }
    Ok(())
}

/// Splits `name[a,b]` into the name and the arguments. Blanks around commas are removed.
fn parse_task(task: &str) -> Option<(&str, Vec<String>)> {
    let Some((name, rest)) = task.split_once('[') else {
        return Some((task, Vec::new()));
    };
    let list = rest.strip_suffix(']')?;
    let arguments = list.split(',').map(|argument| argument.trim().to_owned()).collect();
    Some((name.trim(), arguments))
}

struct TaskArguments(Vec<String>);

impl TaskArguments {
    /// The argument with this index, which may be empty.
    fn get_raw(&self, index: usize) -> Option<String> {
        self.0.get(index).cloned()
    }

    /// The argument with this index, unless it is empty.
    fn get(&self, index: usize) -> Option<String> {
        self.get_raw(index).filter(|argument| !argument.is_empty())
    }

    /// The first `N` arguments.
    fn first<const N: usize>(&self) -> [Option<String>; N] {
        std::array::from_fn(|index| self.get(index))
    }

    fn id(&self) -> String {
        self.get_raw(0).unwrap_or_default()
    }

    fn is_true(&self, index: usize) -> bool {
        self.get(index).is_some_and(|argument| argument == "true")
    }

    fn non_empty(&self) -> Vec<String> {
        self.0.iter().filter(|argument| !argument.is_empty()).cloned().collect()
    }
}

async fn run_task(
    context: &CommandContext,
    name: &str,
    args: &TaskArguments,
) -> Result<(), CommandFailure> {
    match name {
        "servers" => list::print_plain(context).await,
        "servers:add" => {
            change::add(context, args.get(0), args.get(1), args.get(2), args.get(3)).await
        }
        "servers:update" => {
            change::update(context, &args.id(), args.get(1), args.get(2), args.get_raw(3)).await
        }
        "servers:remove" => change::remove(context, &args.id()).await,
        "servers:enable" => change::enable(context, &args.id()).await,
        "servers:cordon" => change::cordon(context, &args.id()).await,
        "servers:disable" => change::disable(context, &args.id(), false).await,
        "servers:panic" => {
            change::panic(context, &args.id(), args.is_true(1), args.is_true(2)).await
        }
        "servers:loadMultiplier" => {
            change::set_load_multiplier(context, &args.id(), args.get(1)).await
        }
        "servers:tag" => change::set_tag(context, &args.id(), args.get(1)).await,
        "servers:addAll" => sync::add_all(context, Path::new(&args.id())).await,
        "servers:sync" => {
            let path = args.get(0);
            let mode = args.get(1).unwrap_or_else(|| "cordon".to_owned());
            sync::sync(context, path.as_deref().map(Path::new), &mode, args.is_true(2), false).await
        }
        "servers:yaml" => list::print_yaml(context, args.is_true(0)).await,
        "servers:meeting_list" => list::print_meetings(context, args.get(0).as_deref()).await,
        "meetings" | "meetings:list" => meetings::list(context, &args.non_empty()).await,
        "meetings:info" => match args.get(0) {
            Some(id) => meetings::show_info(context, &id).await,
            None => Err(CommandFailure("Error: Please input a meetingID!".to_owned())),
        },
        "meetings:end" => meetings::end(context, &args.non_empty(), false).await,
        "poll:all" => poll::run(context, PollTarget::All, true).await,
        "poll:servers" => poll::run(context, PollTarget::Servers, true).await,
        "poll:meetings" => poll::run(context, PollTarget::Meetings, true).await,
        "poll:versions" => poll::run(context, PollTarget::Versions, true).await,
        "recordings:update" => recordings::check_files(context, true, false).await,
        "recordings:addToTenant" => recordings::add_to_tenant(context, &args.id(), &[]).await,
        "status" => status::print_rake_table(context).await,
        "liveness" => poll::check_liveness(context).await,
        name if name.starts_with("tenant") => run_tenant_task(context, name, args).await,
        unknown => Err(unknown_task(unknown)),
    }
}

async fn run_tenant_task(
    context: &CommandContext,
    name: &str,
    args: &TaskArguments,
) -> Result<(), CommandFailure> {
    match name {
        "tenants" => tenants::list(context).await,
        "tenants:add" => tenants::add(context, args.get(0), args.get(1)).await,
        "tenants:update" => tenants::update(context, args.get(0), args.get(1), args.get(2)).await,
        "tenants:update_lrs_basic" => tenants::update_lrs_basic(context, args.first()).await,
        "tenants:update_lrs_kc" => tenants::update_lrs_kc(context, args.first()).await,
        "tenants:remove" => tenants::remove(context, &args.id()).await,
        "tenantSettings" => tenants::list_settings(context).await,
        "tenantSettings:add" => tenants::add_setting(context, args.first()).await,
        "tenantSettings:remove" => tenants::remove_setting(context, &args.id()).await,
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
    fn tasks_are_parsed() {
        let parsed = |task| parse_task(task).map(|(name, arguments)| (name, arguments.join("|")));
        assert_eq!(parsed("servers"), Some(("servers", String::new())));
        assert_eq!(parsed("servers:add[u , s]"), Some(("servers:add", "u|s".to_owned())));
        assert_eq!(parsed("servers:update[i,s,1,]"), Some(("servers:update", "i|s|1|".to_owned())));
        assert_eq!(parsed("servers:add[u"), None);
    }
}
