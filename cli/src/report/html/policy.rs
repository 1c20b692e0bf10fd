//! The policy that was in force, as the TOML text that says all of it.

use std::fmt::Write;

use fairlane::{KindCost, Override, Policy};

use crate::check;

/// Tenants with settings of their own that are listed; a policy may have 10,000.
const OVERRIDES_MAX: usize = 50;

/// Writes every value in force, defaults included; quotas as comments, resolved, as they hold for each
/// tenant. Read as a policy the text gives an equal one, except for quotas and for tenants beyond the first
/// [`OVERRIDES_MAX`], which are only counted.
pub(super) fn toml(policy: &Policy) -> String {
    let mut out = format!(
        "[engine]\nqueue_max = {}\ntenants_max = {}\nbase_quantum = {}\n\n\
         [defaults]\nqueue_max = {}\ntier = {}\n",
        grouped(policy.queue_max()),
        grouped(policy.tenants_max()),
        grouped(policy.base_quantum()),
        grouped(policy.default_queue_max()),
        quoted(policy.default_tier().name()),
    );
    if let Some(grants) = policy.concurrency() {
        let _ = writeln!(out, "\n# The engine's grants in flight: at most {}.", grouped(grants));
    }
    for tier in policy.tiers() {
        let (name, weight) = (tier.name(), tier.weight());
        let queue_max = grouped(tier.queue_max());
        let _ = write!(out, "\n[tiers.{name}]\nweight = {weight}\nqueue_max = {queue_max}\n");
        if let Some(quota) = check::tier_quota(policy, tier) {
            let _ = writeln!(out, "# limits of each tenant: {quota}");
        }
    }
    for (name, own) in policy.overrides().take(OVERRIDES_MAX) {
        out += &tenant(name, own);
        let tier = policy.default_tier();
        let quota = policy.quota_for(tier, Some(own));
        if quota != policy.quota_for(tier, None) {
            let _ = writeln!(out, "# limits, in tier {}: {quota}", tier.name());
        }
    }
    match policy.overrides().count().saturating_sub(OVERRIDES_MAX) {
        0 => {}
        more => {
            let _ = write!(out, "\n# and {} more tenants with settings of their own\n", more);
        }
    }
    if policy.costs().next().is_some() {
        out += "\n[costs]\n";
    }
    policy.costs().for_each(|(kind, cost)| out += &format!("{} = {}\n", quoted(kind), shown(cost)));
    out
}

fn tenant(name: &str, own: &Override) -> String {
    let weight = own.weight.map(|weight| format!("weight = {weight}\n"));
    let queue_max = own.queue_max.map(|jobs| format!("queue_max = {}\n", grouped(jobs)));
    let settings = [weight, queue_max].into_iter().flatten().collect::<String>();
    format!("\n[tenants.{}]\n{settings}", quoted(name))
}

fn shown(cost: KindCost) -> String {
    match cost {
        KindCost::Fixed(cost) => grouped(cost.get()),
        _ => quoted("size"),
    }
}

/// A number with its thousands apart, as TOML allows it.
fn grouped(number: u32) -> String {
    super::text::count(number.into()).replace(',', "_")
}

/// A basic string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a.b \"c\\d\"\t<e> \u{7f}é\u{202e}";

    #[test]
    fn the_text_reads_back_as_the_same_policy() {
        let text = format!(
            "[engine]\nqueue_max = 5000\n[defaults]\nqueue_max = 70\ntier = 'gold'\n\
             [tiers.gold]\nweight = 1.5\n[tiers.tin-1]\nweight = 0.01\nqueue_max = 9\n\
             [tenants.{name}]\nweight = 3.25\n[tenants.plain]\nqueue_max = 12345\n\
             [costs]\nsign = 2000\nbatch = 'size'\n{name} = 1\n",
            name = quoted(HOSTILE)
        );
        let policy = Policy::from_toml(&text).unwrap();
        assert!(policy.override_for(HOSTILE).is_some());
        for policy in [policy, Policy::default()] {
            let text = toml(&policy);
            assert_eq!(Policy::from_toml(&text).as_ref(), Ok(&policy), "{text}");
        }
    }

    #[test]
    fn quotas_are_told_as_they_hold() {
        let text = "[engine]\nconcurrency = 40\n[tiers.starter]\nweight = 1\nrate = '9 jobs per 60s'\n\
                    [tenants.acme]\nconcurrency = '50%'\n";
        let text = toml(&Policy::from_toml(text).unwrap());
        for told in ["at most 40.", "each tenant: rate 9 jobs per 60s", "60s, concurrency 50%"] {
            assert!(text.contains(told), "no `{told}` in:\n{text}");
        }
        assert!(Policy::from_toml(&text).is_ok(), "{text}");
        assert!(!toml(&Policy::default()).contains("limits"));
    }

    #[test]
    fn a_long_list_of_tenants_is_cut_and_counted() {
        let tenants = (0..10_000).map(|i| format!("[tenants.t{i}]\nweight = 2\n"));
        let text = toml(&Policy::from_toml(&tenants.collect::<String>()).unwrap());
        assert_eq!(text.matches("[tenants.").count(), OVERRIDES_MAX);
        assert!(text.contains("# and 9950 more tenants"));
        assert!(text.len() < 10_000);
        assert!(Policy::from_toml(&text).is_ok());
    }
}
