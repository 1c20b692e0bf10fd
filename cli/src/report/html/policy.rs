//! The policy that was in force, as the TOML text that says all of it.

use std::collections::BTreeSet;
use std::fmt::{Display, Write};
use std::time::Duration;

use fairlane::{Budget, Cap, KindCost, Overload, Override, Own, Policy, Tier};

/// Tenants with settings of their own that are listed, and budgets that none of the listed draws on; a
/// policy may have 10,000 of each.
const LISTED_MAX: usize = 50;

/// Writes every value in force, defaults included, except limits that there are none of. Read as a policy
/// the text gives one with the same values, except for tenants and budgets beyond the first [`LISTED_MAX`],
/// which are only counted.
pub(super) fn toml(policy: &Policy) -> String {
    let mut out = engine(policy);
    policy.tiers().iter().for_each(|listed| out += &tier(listed, policy.queue_max()));
    for (name, own) in policy.overrides().take(LISTED_MAX) {
        out += &tenant(name, own);
    }
    out += &unlisted(policy.overrides().count(), "tenants with settings of their own");
    if policy.costs().next().is_some() {
        out += "\n[costs]\n";
    }
    policy.costs().for_each(|(kind, cost)| out += &line(&quoted(kind), shown(cost)));
    out + &budgets(policy)
}

fn engine(policy: &Policy) -> String {
    let [normal, high, urgent] = policy.priority_bands().thresholds();
    let settings = [
        line("queue_max", grouped(policy.queue_max())),
        line("tenants_max", grouped(policy.tenants_max())),
        line("base_quantum", grouped(policy.base_quantum())),
        maybe("concurrency", policy.concurrency().map(grouped)),
        maybe("max_wait", policy.max_wait().map(time)),
        line("priority_bands", quoted(&format!("{normal}, {high}, {urgent}"))),
        line("jitter", time(policy.jitter())),
    ];
    let defaults = [
        line("queue_max", grouped(policy.default_queue_max())),
        line("tier", quoted(policy.default_tier().name())),
    ];
    format!(
        "# What is not named has no limit.\n[engine]\n{}\n[defaults]\n{}",
        settings.concat(),
        defaults.concat()
    )
}

fn tier(tier: &Tier, queue_max: u32) -> String {
    // A default above the engine's bound holds, but may not be stated for a tier.
    let bound = if tier.queue_max() > queue_max { "# queue_max" } else { "queue_max" };
    let waits = Some(tier.overload()).filter(|overload| *overload != Overload::Reject);
    let budgets = Some(tier.budgets()).filter(|names| !names.is_empty());
    let settings = [
        line("weight", tier.weight()),
        line(bound, grouped(tier.queue_max())),
        maybe("rate", tier.rate().map(text)),
        maybe("concurrency", tier.concurrency().map(cap)),
        maybe("concurrency_promoted", tier.concurrency_promoted().map(grouped)),
        maybe("concurrency_min", tier.concurrency_min().map(cap)),
        maybe("tier_concurrency", tier.tier_concurrency().map(cap)),
        maybe("max_wait", tier.max_wait().map(time)),
        maybe("overload", waits.map(text)),
        maybe("budgets", budgets.map(list)),
    ];
    format!("\n[tiers.{}]\n{}", tier.name(), settings.concat())
}

fn tenant(name: &str, own: &Override) -> String {
    let settings = [
        maybe("weight", own.weight),
        maybe("queue_max", own.queue_max.map(grouped)),
        stated("rate", own.rate(), text),
        stated("concurrency", own.concurrency(), cap),
        maybe("concurrency_promoted", own.concurrency_promoted().map(grouped)),
        stated("concurrency_min", own.concurrency_min(), cap),
        stated("max_wait", own.max_wait(), time),
        maybe("overload", own.overload().map(text)),
        stated("budgets", own.budgets().clone(), |names| list(&names)),
        maybe("high_quota_eligible", own.high_quota_eligible.then_some(true)),
    ];
    format!("\n[tenants.{}]\n{}", quoted(name), settings.concat())
}

/// The budgets that somebody listed draws on, and some of the others.
fn budgets(policy: &Policy) -> String {
    let of_tiers = policy.tiers().iter().flat_map(Tier::budgets);
    let of_tenants = policy.overrides().take(LISTED_MAX);
    let of_tenants = of_tenants.filter_map(|(_, own)| own.budgets().stated()).flatten();
    let drawn: BTreeSet<&str> = of_tiers.chain(of_tenants).map(String::as_str).collect();
    let others: Vec<_> = policy.budgets().filter(|budget| !drawn.contains(budget.name())).collect();
    let listed = policy.budgets().filter(|budget| drawn.contains(budget.name()));
    let mut out: String =
        listed.chain(others.iter().copied().take(LISTED_MAX)).map(budget).collect();
    out += &unlisted(others.len(), "budgets");
    out
}

fn budget(budget: &Budget) -> String {
    let amounts = |of: fn(&fairlane::BudgetLimit) -> Option<u64>| {
        let amounts = budget.limits().iter();
        let amounts = amounts.filter_map(|it| Some(format!("{} {}", it.dimension, of(it)?)));
        Some(amounts.collect::<Vec<_>>()).filter(|amounts| !amounts.is_empty())
    };
    let settings = [
        maybe("hard", amounts(|it| it.hard).map(|amounts| list(&amounts))),
        maybe("soft", amounts(|it| it.soft).map(|amounts| list(&amounts))),
        maybe("reset", budget.reset().map(time)),
    ];
    format!("\n[budgets.{}]\n{}", quoted(budget.name()), settings.concat())
}

/// A remark on those of `all` that are not listed, if there are any.
fn unlisted(all: usize, what: &str) -> String {
    match all.saturating_sub(LISTED_MAX) {
        0 => String::new(),
        more => format!("\n# and {more} more {what}\n"),
    }
}

fn line(key: &str, value: impl Display) -> String {
    format!("{key} = {value}\n")
}

fn maybe(key: &str, value: Option<impl Display>) -> String {
    value.map_or_else(String::new, |value| line(key, value))
}

/// What a tenant says about a limit of its tier, nothing if it says nothing.
fn stated<T>(key: &str, own: Own<T>, show: impl FnOnce(T) -> String) -> String {
    match own {
        Own::Inherit => String::new(),
        Own::Lift => line(key, quoted("none")),
        Own::Is(value) => line(key, show(value)),
    }
}

fn shown(cost: KindCost) -> String {
    match cost {
        KindCost::Fixed(cost) => grouped(cost.get()),
        _ => quoted("size"),
    }
}

fn text(value: impl Display) -> String {
    quoted(&value.to_string())
}

fn list(items: &[String]) -> String {
    quoted(&items.join(", "))
}

fn cap(cap: Cap) -> String {
    match cap {
        Cap::Grants(grants) => grouped(grants),
        percent => text(percent),
    }
}

/// In the largest unit of which it is a whole number, two or more for units above a second.
fn time(time: Duration) -> String {
    let nanos = time.as_nanos();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)];
    let fits = |(name, ms): &(&str, u128)| {
        let unit = ms * 1_000_000;
        nanos % unit == 0 && (*name == "s" || nanos >= 2 * unit)
    };
    quoted(&match units.into_iter().find(fits) {
        Some((name, ms)) => format!("{}{name}", nanos / (ms * 1_000_000)),
        None => {
            let ms = format!("{}.{:06}", nanos / 1_000_000, nanos % 1_000_000);
            format!("{}ms", ms.trim_end_matches('0').trim_end_matches('.'))
        }
    })
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
             [tenants.{name}]\nweight = 3.25\n[tenants.plain]\nqueue_max = 4321\n\
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

    /// Every key that there is, with values that are not the defaults.
    const QUOTAS: &str = "[engine]\nconcurrency = 400\nmax_wait = '1h'\npriority_bands = '10, 20, 30'\n\
        jitter = '250ms'\n[tiers.starter]\nweight = 1\nrate = '9 jobs per 60s'\n\
        concurrency = 'workspaces'\nconcurrency_min = 3\ntier_concurrency = '75%'\nmax_wait = '90s'\n\
        overload = 'wait 1.5s'\nbudgets = 'org, a.b'\n[tiers.free]\nweight = 1\n\
        rate = '500 cost per 1s smooth burst 20'\nconcurrency = '50%'\nconcurrency_promoted = 300\n\
        [tenants.acme]\nrate = 'none'\nconcurrency = 0\nconcurrency_min = '1%'\nmax_wait = '5s'\n\
        overload = 'reject'\nbudgets = 'none'\nhigh_quota_eligible = true\n\
        [tenants.other]\nrate = '1 jobs per 0.0015s'\nmax_wait = 'none'\nconcurrency_promoted = 70\n\
        budgets = 'org'\n[budgets.org]\nhard = 'usd 500, tokens 9'\nsoft = 'tokens 8, calls 7'\n\
        reset = '24h'\n[budgets.'a.b']\nsoft = 'cost 5'\n[budgets.unused]\nhard = 'cost 1'\n";

    #[test]
    fn quotas_read_back_as_the_same_policy() {
        let policy = Policy::from_toml(QUOTAS).unwrap();
        let text = toml(&policy);
        assert_eq!(Policy::from_toml(&text).as_ref(), Ok(&policy), "{text}");
        for told in ["concurrency = 400", "rate = \"9 jobs per 60s\"", "reset = \"24h\""] {
            assert!(text.contains(told), "no `{told}` in:\n{text}");
        }
        let plain = toml(&Policy::default());
        assert!(
            ["rate", "\nconcurrency", "max_wait"].iter().all(|key| !plain.contains(key)),
            "{plain}"
        );
    }

    // Negative control: the comparison sees every single value.
    #[test]
    fn no_value_of_a_policy_may_be_left_out() {
        let policy = Policy::from_toml(QUOTAS).unwrap();
        let text = toml(&policy);
        let settings = text.lines().filter(|line| line.contains(" = "));
        let defaults = ["queue_max = 1_000_000", "tenants_max = 100_000", "base_quantum = 20"];
        let is_default = |line: &&str| {
            defaults.contains(line)
                || *line == "queue_max = 10_000"
                || *line == "tier = \"starter\""
        };
        for left_out in settings.filter(|line| !is_default(line)) {
            let less: Vec<&str> = text.lines().filter(|line| *line != left_out).collect();
            let read = Policy::from_toml(&less.join("\n"));
            assert_ne!(read.as_ref(), Ok(&policy), "without `{left_out}`");
        }
    }

    #[test]
    fn budgets_that_the_listed_draw_on_are_listed() {
        let budgets = (0..10_000).map(|i| format!("[budgets.b{i}]\nhard = 'cost 1'\n"));
        let text =
            "[tiers.starter]\nweight = 1\nbudgets = 'b9999'\n[tenants.acme]\nbudgets = 'b9998'\n";
        let text =
            toml(&Policy::from_toml(&(text.to_owned() + &budgets.collect::<String>())).unwrap());
        assert_eq!(text.matches("[budgets.").count(), 2 + LISTED_MAX);
        assert!(text.contains("# and 9948 more budgets"));
        assert!(Policy::from_toml(&text).is_ok());
    }

    #[test]
    fn a_long_list_of_tenants_is_cut_and_counted() {
        let tenants = (0..10_000).map(|i| format!("[tenants.t{i}]\nweight = 2\n"));
        let text = toml(&Policy::from_toml(&tenants.collect::<String>()).unwrap());
        assert_eq!(text.matches("[tenants.").count(), LISTED_MAX);
        assert!(text.contains("# and 9950 more tenants"));
        assert!(text.len() < 10_000);
        assert!(Policy::from_toml(&text).is_ok());
    }
}
