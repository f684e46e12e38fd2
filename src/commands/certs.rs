//! `payswitch certs`: makes a development PKI.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::error::CommandError;
use crate::card::key_files::Existing;
use crate::certs::DevelopmentPki;
use crate::certs::files::RootKeys;
use crate::clock::{Clock as _, SystemClock};
use crate::payment::ids::{MerchantId, OperatorName};

/// What `payswitch certs` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch certs                             into certs/dev\n  \
    payswitch certs --out /tmp/pki --merchant my-shop --operator alice\n  \
    payswitch certs --force --keep-ca-keys      anew, and able to issue more\n\n\
    For development only. certs/README.md says which file is what.")]
pub struct CertsArgs {
    /// The folder to write to; it is made when missing.
    #[arg(long, value_name = "DIR", default_value = "certs/dev")]
    out: PathBuf,
    /// The merchant that the client certificate names.
    #[arg(long, value_name = "ID", default_value = "demo-shop")]
    merchant: MerchantId,
    /// The operator that the operators' client certificate names.
    #[arg(long, value_name = "NAME", default_value = "demo-operator")]
    operator: OperatorName,
    /// Replace files that are there already.
    #[arg(long)]
    force: bool,
    /// Write the private keys of the roots too, so that more certificates can be issued.
    #[arg(long)]
    keep_ca_keys: bool,
}

/// Does what was asked, and prints the files.
///
/// # Errors
/// When a file is there already and `--force` is not given, or the folder or standard output can't be
/// written.
pub fn run(arguments: CertsArgs) -> Result<ExitCode, CommandError> {
    let (merchant, operator) = (&arguments.merchant, &arguments.operator);
    let pki = DevelopmentPki::generate(merchant, operator, SystemClock.now())?;
    let root_keys = if arguments.keep_ca_keys {
        RootKeys::Keep
    } else {
        RootKeys::Forget
    };
    let existing = if arguments.force {
        Existing::Replace
    } else {
        Existing::Refuse
    };
    let mut answer = std::io::stdout().lock();
    for path in pki.write_to(&arguments.out, root_keys, existing)? {
        writeln!(answer, "{}", path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}
