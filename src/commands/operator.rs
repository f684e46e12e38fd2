//! `payswitch operator`: adds operators, changes what they may do, and takes their access away.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::error::CommandError;
use super::operators_door::{OperatorsDoor, Why, moment, short, told};
use super::output::{print_line, table};
use super::runtime::runtime;
use crate::admin_api::pb;
use crate::admin_api::pb::operator_service_client::OperatorServiceClient;
use crate::app::issue;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::grpc::text::words;
use crate::payment::ids::OperatorName;
use crate::random::Random;
use crate::store::Store;

/// What `payswitch operator` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch operator first alice --config pay.toml --reason 'set up'\n  \
    payswitch operator add bob --role viewer --reason 'joined the night shift'\n  \
    payswitch operator role bob operator --reason 'trained'\n  \
    payswitch operator deactivate bob --reason 'left'\n  \
    payswitch operator list\n\n\
    Nobody gives a role above its own, or changes somebody whose role is above its own.\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage.")]
pub struct OperatorArgs {
    #[command(flatten)]
    door: OperatorsDoor,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add the first operator, an approver, to the database itself, while no gateway runs on it if it is
    /// SQLite. It works only while there is no operator.
    First {
        /// The name that the certificate carries: a-z, 0-9, '-' and '_'.
        name: OperatorName,
        /// The configuration file; without it, the defaults and the environment.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Why, for the audit trail.
        #[arg(long, value_name = "TEXT", value_parser = words, default_value = "the first operator")]
        reason: String,
    },
    /// Add an operator.
    Add {
        /// The name that the certificate carries: a-z, 0-9, '-' and '_'.
        name: OperatorName,
        /// What the operator may do.
        #[arg(long, value_enum)]
        role: Role,
        #[command(flatten)]
        why: Why,
    },
    /// List the operators.
    List,
    /// Give an operator another role.
    Role {
        /// The operator.
        name: OperatorName,
        /// What the operator may do.
        role: Role,
        #[command(flatten)]
        why: Why,
    },
    /// Take an operator's access away.
    Deactivate {
        /// The operator.
        name: OperatorName,
        #[command(flatten)]
        why: Why,
    },
    /// Give a deactivated operator its access again.
    Activate {
        /// The operator.
        name: OperatorName,
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// Read.
    Viewer,
    /// Work with hosts and operators.
    Operator,
    /// Be the second pair of eyes.
    Approver,
}

impl From<Role> for i32 {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => pb::OperatorRole::Viewer,
            Role::Operator => pb::OperatorRole::Operator,
            Role::Approver => pb::OperatorRole::Approver,
        }
        .into()
    }
}

/// Does what was asked.
///
/// # Errors
/// When the gateway or the database can't be reached, or refuses.
pub fn run(arguments: OperatorArgs) -> Result<ExitCode, CommandError> {
    runtime()?.block_on(async {
        let operators = match arguments.action {
            Action::First {
                name,
                config,
                reason,
            } => {
                let config = Config::load(config.as_deref())?;
                let store =
                    Store::open(&config.store, Arc::new(SystemClock), &Random::SYSTEM).await?;
                let added = issue::add_first_operator(&store, &name, &reason).await;
                store.close().await;
                added?;
                print_line!("added operator {name} as APPROVER")?;
                return Ok(ExitCode::SUCCESS);
            }
            action => {
                let client = OperatorServiceClient::new(arguments.door.connect().await?);
                act(client, action).await?
            }
        };
        show(&operators, arguments.json)?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn act(
    mut client: OperatorServiceClient<Channel>,
    action: Action,
) -> Result<Vec<pb::Operator>, CommandError> {
    let changed = match action {
        Action::First { .. } | Action::List => {
            let listed = client.list_operators(pb::ListOperatorsRequest {}).await;
            return Ok(listed.map_err(told)?.into_inner().operators);
        }
        Action::Add { name, role, why } => {
            let request = pb::AddOperatorRequest {
                request_id: why.request_id()?,
                reason: why.reason,
                name: name.to_string(),
                role: role.into(),
            };
            let added = client.add_operator(request).await.map_err(told)?;
            added.into_inner().operator
        }
        Action::Role { name, role, why } => {
            let request = pb::SetOperatorRoleRequest {
                request_id: why.request_id()?,
                reason: why.reason,
                name: name.to_string(),
                role: role.into(),
            };
            let set = client.set_operator_role(request).await.map_err(told)?;
            set.into_inner().operator
        }
        Action::Deactivate { name, why } => {
            let request = pb::DeactivateOperatorRequest {
                request_id: why.request_id()?,
                reason: why.reason,
                name: name.to_string(),
            };
            let done = client.deactivate_operator(request).await.map_err(told)?;
            done.into_inner().operator
        }
        Action::Activate { name, why } => {
            let request = pb::ActivateOperatorRequest {
                request_id: why.request_id()?,
                reason: why.reason,
                name: name.to_string(),
            };
            let done = client.activate_operator(request).await.map_err(told)?;
            done.into_inner().operator
        }
    };
    Ok(changed.into_iter().collect())
}

fn show(operators: &[pb::Operator], as_json: bool) -> Result<(), CommandError> {
    let role = |operator: &pb::Operator| short(operator.role().as_str_name(), "OPERATOR_ROLE_");
    if as_json {
        let mut rows: Vec<Value> = Vec::new();
        for operator in operators {
            rows.push(json!({
                "name": operator.name,
                "role": role(operator),
                "active": operator.active,
                "create_time": moment(operator.create_time)?,
                "created_by": operator.created_by,
            }));
        }
        return print_line!("{:#}", json!({ "operators": rows }));
    }
    let mut table = table(&["operator", "role", "active", "added", "by"]);
    for operator in operators {
        table.add_row([
            operator.name.as_str(),
            role(operator),
            if operator.active { "yes" } else { "no" },
            &moment(operator.create_time)?,
            &operator.created_by,
        ]);
    }
    print_line!("{table}")
}
