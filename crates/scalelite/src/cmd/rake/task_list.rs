//! The list of tasks that `rake -T` prints, and the tasks of Rails that have nothing to do here.

use crate::cmd::CommandFailure;
use crate::output::{print_line, print_note};
use crate::wiring::secret_file::generate_rails_secret;

use super::command_line::RakeTask;

/// Every task with its arguments and its description.
const TASKS: [(&str, &str); 43] = [
    ("liveness", "Check that the store can be used"),
    ("meetings", "List meetings"),
    ("meetings:end[ids]", "End meetings, separated by colons; without ids: all"),
    ("meetings:info[id]", "Show what the meeting's server reports"),
    ("meetings:list[ids]", "List meetings, separated by colons; without ids: all"),
    ("poll:all", "Poll all servers"),
    ("poll:meetings", "Poll all servers for their meetings"),
    ("poll:servers", "Poll all servers for their health and load"),
    ("poll:versions", "Poll all servers for their versions"),
    ("recordings:addToTenant[tenant_id]", "Assign all recordings without a tenant to a tenant"),
    ("recordings:update", "Move the files of recordings to the right directory"),
    ("recordings:watch", "Import recordings until a signal stops it"),
    ("secret", "Generate a secret for SECRET_KEY_BASE"),
    ("servers", "List servers"),
    ("servers:add[url,secret,load_multiplier,tag]", "Add a server"),
    ("servers:addAll[path]", "Add all servers of a YAML file"),
    ("servers:cordon[id]", "Place no new meetings on a server"),
    ("servers:disable[id]", "Disable a server"),
    ("servers:enable[id]", "Enable a server"),
    ("servers:loadMultiplier[id,load_multiplier]", "Set the load multiplier of a server"),
    ("servers:meeting_list[ids]", "List the meetings that servers report"),
    ("servers:panic[id,keep_state,skip_end_calls]", "End all meetings of a server and disable it"),
    ("servers:remove[id]", "Remove a server"),
    ("servers:sync[path,mode,dryrun]", "Make the pool match a YAML file (keep, cordon or force)"),
    ("servers:tag[id,tag]", "Set the tag of a server"),
    ("servers:update[id,secret,load_multiplier,tag]", "Change a server"),
    ("servers:yaml[verbose]", "Print the pool as YAML"),
    ("status", "Show the state of all servers"),
    ("tenantSettings", "List the settings of tenants"),
    (
        "tenantSettings:add[tenant_id,param,value,override]",
        "Set a parameter for the calls of a tenant",
    ),
    ("tenantSettings:remove[id]", "Remove a setting"),
    ("tenants", "List tenants"),
    ("tenants:add[name,secrets]", "Add a tenant"),
    ("tenants:remove[id]", "Remove a tenant"),
    ("tenants:showAll", "List tenants"),
    ("tenants:update[id,name,secrets]", "Change a tenant"),
    (
        "tenants:update_lrs_basic[id,endpoint,user,password]",
        "Set the learning record store of a tenant",
    ),
    (
        "tenants:update_lrs_kc[id,endpoint,token_url,client_id,client_secret,user,password]",
        "Set the learning record store of a tenant, with tokens from Keycloak",
    ),
    ("db:create", "Nothing: serve creates what is missing"),
    ("db:migrate", "Nothing: serve adopts the database"),
    ("db:prepare", "Nothing: serve adopts the database"),
    ("db:schema:load", "Nothing: serve creates what is missing"),
    ("db:setup", "Nothing: serve creates what is missing"),
];
/// Tasks that delete or take back; Rails refuses most of them in production.
const DESTRUCTIVE: [&str; 8] =
    ["drop", "reset", "purge", "truncate", "rollback", "redo", "down", "replant"];

/// Prints the tasks whose names contain a text.
pub fn print_tasks(pattern: &str) {
    let listed = || TASKS.iter().filter(|(task, _)| task.contains(pattern));
    let width = listed().map(|(task, _)| task.len()).max().unwrap_or(0);
    for (task, description) in listed() {
        print_line(format!("rake {task:width$}  # {description}"));
    }
}

/// Says what a dry run would do.
pub fn print_dry_run(tasks: &[RakeTask]) {
    for task in tasks {
        print_note(format!("** Execute (dry run) {}", task.name));
    }
}

/// What a task does that needs no store; `None` if it needs one.
pub fn prepare_simple_task(name: &str) -> Option<Box<dyn Fn() -> Result<(), CommandFailure>>> {
    match name {
        // Rails runs this before each of its tasks.
        "environment" => Some(Box::new(|| Ok(()))),
        "secret" => Some(Box::new(|| {
            print_line(generate_rails_secret());
            Ok(())
        })),
        name if name.starts_with("db:") => {
            let name = name.to_owned();
            Some(Box::new(move || run_database_task(&name)))
        }
        _ => None,
    }
}

/// Does what a task of Rails about the database does here: nothing.
fn run_database_task(name: &str) -> Result<(), CommandFailure> {
    if name.split(':').any(|part| DESTRUCTIVE.iter().any(|word| part.starts_with(word))) {
        return Err(CommandFailure(format!("ERROR: {name} is refused: it would delete data")));
    }
    print_note(format!("{name}: nothing to do, `scalelite serve` prepares the database"));
    Ok(())
}
