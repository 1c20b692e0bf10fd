//! `fairlane check`: a policy file, the environment over it, and everything that is wrong with both.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use fairlane::{Cap, Own, Policy, Tier};

/// The largest file that is read, in bytes: room for 10,000 tenants and 10,000 budgets, which is as
/// many as a policy has, of 1,600 bytes each.
const FILE_MAX_BYTES: u64 = 32 * 1024 * 1024;

/// Most paused tenants that a summary names.
const PAUSED_NAMED_MAX: usize = 5;

/// Names one policy file.
#[derive(Args)]
#[command(after_help = "FAIRLANE__ variables override single keys, such as \
                        FAIRLANE__ENGINE__QUEUE_MAX=500000.\n\
                        Exit code 0: the policy is valid. 1: it is not, or cannot be read.")]
pub(crate) struct CheckArgs {
    /// Policy file (TOML).
    policy: PathBuf,
}

/// Checks the file and prints one line of summary, or one line per problem on standard error.
pub(crate) fn run(args: &CheckArgs) -> ExitCode {
    match check(&args.policy) {
        Ok(summary) => {
            // A reader that has gone away does not change what the check found.
            let _ = writeln!(io::stdout(), "ok: {summary}");
            ExitCode::SUCCESS
        }
        Err(lines) => {
            let _ = writeln!(io::stderr(), "{}", lines.join("\n"));
            ExitCode::FAILURE
        }
    }
}

fn check(file: &Path) -> Result<String, Vec<String>> {
    load(file).map(|policy| format!("{}: {}", shown(file), summary(&policy)))
}

/// Reads a policy with the environment over it, or says all that is wrong, a line for each problem.
pub(crate) fn load(file: &Path) -> Result<Policy, Vec<String>> {
    let shown = shown(file);
    let text = read(file).map_err(|reason| vec![format!("{shown}: {reason}")])?;
    let vars = overrides(std::env::vars_os()).map_err(|line| vec![line])?;
    Policy::from_toml_with_env(&text, vars).map_err(|error| {
        error.problems().iter().map(|problem| problem.in_file(&shown).to_string()).collect()
    })
}

/// Reads a policy; of several problems, the first, and how many more there are.
pub(crate) fn load_or_first_problem(file: &Path) -> Result<Policy, String> {
    load(file).map_err(|lines| match lines.as_slice() {
        [] => format!("{}: not a policy", shown(file)),
        [only] => only.clone(),
        [first, more @ ..] => {
            format!("{first} (and {} more: see `fairlane check`)", more.len())
        }
    })
}

/// Reads the file as text; a pipe is as good as a regular file.
fn read(file: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(format!("is larger than {FILE_MAX_BYTES} bytes, which no policy needs"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8 text")
    })
}

/// The variables as text. A foreign variable may hold any bytes; one of ours may not.
fn overrides(
    vars: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, String> {
    let mut texts = Vec::new();
    for (name, value) in vars {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => texts.push((name, value)),
            (Ok(name), Err(_)) if is_ours(&name) => {
                return Err(format!("{name} is not UTF-8 text"));
            }
            (Err(name), _) if is_ours(&name.to_string_lossy()) => {
                return Err(format!("{name:?} is not UTF-8 text"));
            }
            _ => {}
        }
    }
    Ok(texts)
}

fn is_ours(variable: &str) -> bool {
    variable.to_ascii_uppercase().starts_with("FAIRLANE__")
}

fn summary(policy: &Policy) -> String {
    let tiers: Vec<String> =
        policy.tiers().iter().map(|tier| format!("{} {}", tier.name(), tier.weight())).collect();
    format!(
        "tiers {} (default {}), {}, {}, engine queue_max {}, tenants_max {}, base_quantum {}{}",
        tiers.join(", "),
        policy.default_tier().name(),
        counted(policy.overrides().count(), "tenant override"),
        counted(policy.costs().count(), "cost"),
        policy.queue_max(),
        policy.tenants_max(),
        policy.base_quantum(),
        quotas(policy),
    )
}

/// `1 budget`, `2 budgets`.
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// What is limited; nothing where nothing is.
fn quotas(policy: &Policy) -> String {
    let engine = policy.concurrency().map(|grants| {
        let paused = if grants == 0 { " (paused)" } else { "" };
        format!("; engine concurrency {grants}{paused}")
    });
    let limits =
        policy.tiers().iter().filter_map(|tier| Some((tier.name(), tier_quota(policy, tier)?)));
    let tiers = limits.map(|(name, quota)| format!("; each of {name}: {quota}"));
    let budgets = policy.budgets().count();
    let budgets = (budgets > 0).then(|| format!("; {}", counted(budgets, "budget")));
    engine.into_iter().chain(tiers).chain(paused_tenants(policy)).chain(budgets).collect()
}

/// Tenants that a concurrency of their own pauses, the first few by name; `None` when there are none.
fn paused_tenants(policy: &Policy) -> Option<String> {
    let is_paused = |cap: Own<Cap>| matches!(cap, Own::Is(Cap::Grants(0) | Cap::Percent(0)));
    let paused = policy.overrides().filter(|(_, own)| is_paused(own.concurrency()));
    let names: Vec<String> = paused.map(|(name, _)| format!("{name:?}")).collect();
    let named = names.iter().take(PAUSED_NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(PAUSED_NAMED_MAX);
    match (names.len(), more) {
        (0, _) => None,
        (_, 0) => Some(format!("; paused: {named}")),
        _ => Some(format!("; paused: {named} and {more} more")),
    }
}

/// The limits of a tier's tenants in words; `None` when there are none.
fn tier_quota(policy: &Policy, tier: &Tier) -> Option<String> {
    let quota = policy.quota_for(tier, None);
    let unlimited = Policy::default();
    let none = unlimited.quota_for(unlimited.default_tier(), None);
    (quota != none).then(|| quota.to_string())
}

/// The file's name on one line, whatever it contains.
pub(crate) fn shown(file: &Path) -> String {
    printable(&file.to_string_lossy())
}

/// The text on one line, with nothing in it that a terminal obeys.
pub(crate) fn printable(text: &str) -> String {
    let escape =
        |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}
