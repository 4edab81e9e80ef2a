//! Arguments of `status`.

use clap::Args;

use crate::cmd::balancer::Balancer;
use crate::cmd::status::{Column, StatusTable};
use crate::cmd::{CommandFailure, status};

/// What is shown, and how.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Repeat every two seconds until Ctrl-C.
    #[arg(long)]
    watch: bool,
    /// Print all columns, instead of those that fit into 80 characters.
    #[arg(long, conflicts_with_all = ["columns", "json"])]
    wide: bool,
    /// Print these columns, e.g. hostname,users,load.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        conflicts_with = "json",
        value_name = "COLUMN,…"
    )]
    columns: Vec<Column>,
}

/// Shows the state of the pool.
pub(super) async fn run(balancer: &Balancer, arguments: StatusArgs) -> Result<(), CommandFailure> {
    let StatusArgs { json, watch, wide, columns } = arguments;
    let table = StatusTable::new(wide, columns);
    status::run(balancer, &table, json, watch).await
}
