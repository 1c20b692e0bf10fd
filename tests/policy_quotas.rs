//! Limits of a policy that contradict each other are refused, each beside a neighbour that is not.
#![cfg(feature = "toml")]

use fairlane::Policy;

const TIERS: &str = "[tiers.starter]\nweight = 1\n";

fn refused(text: &str) -> Vec<String> {
    let error = Policy::from_toml(text).expect_err(text);
    error.problems().iter().map(ToString::to_string).collect()
}

/// Holds a text to its only problem, and to having none once `bad` is `good`.
#[track_caller]
fn only(text: &str, bad: &str, good: &str, problem: &str) {
    let text = text.replace("TIER", TIERS);
    let found = refused(&text.replace("?", bad));
    assert_eq!(found, [problem], "{text}");
    if let Err(error) = Policy::from_toml(&text.replace("?", good)) {
        panic!("{good}: {error}");
    }
}

#[test]
fn a_limit_above_a_tighter_one_is_unreachable() {
    only(
        "[engine]\nconcurrency = 50\nTIER concurrency = ?",
        "51",
        "50",
        "line 5: tiers.starter.concurrency = 51: allowed at most 50 \
         (hint: unreachable: engine.concurrency is 50)",
    );
    only(
        "[engine]\nconcurrency = 50\nTIER tier_concurrency = '20%'\nconcurrency = ?",
        "11",
        "'20%'",
        "line 6: tiers.starter.concurrency = 11: allowed at most 10 \
         (hint: unreachable: tier_concurrency is 10)",
    );
    only(
        "[engine]\nconcurrency = 50\nTIER tier_concurrency = ?",
        "60",
        "'100%'",
        "line 5: tiers.starter.tier_concurrency = 60: allowed at most 50 \
         (hint: unreachable: engine.concurrency is 50)",
    );
    only(
        "[engine]\nmax_wait = '1min'\n[tenants.a]\nmax_wait = '?'",
        "61s",
        "60s",
        "line 4: tenants.a.max_wait = '61s': allowed at most \"60s\" \
         (hint: unreachable: engine.max_wait is 60s)",
    );
    only(
        "TIER tier_concurrency = 5\n[tenants.a]\nconcurrency = ?",
        "6",
        "5",
        "line 5: tenants.a.concurrency = 6: allowed at most 5 \
         (hint: unreachable: the largest tier_concurrency is 5)",
    );
}

#[test]
fn a_tenant_may_be_in_any_tier() {
    let tiers = "[tiers.starter]\nweight = 1\ntier_concurrency = 5\n[tiers.b]\nweight = 1\n";
    let tenant = "[tenants.a]\nconcurrency = ?\n";
    let paused = format!("{tiers}tier_concurrency = 7\n{tenant}").replace('?', "8");
    let paused = paused.replace("tier_concurrency = 5", "tier_concurrency = 0");
    assert!(Policy::from_toml(&paused).is_ok(), "the pause will end");
    let unbounded = format!("{tiers}{tenant}").replace("?", "9");
    assert!(Policy::from_toml(&unbounded).is_ok(), "tier b has no bound");
    only(
        &format!("{tiers}tier_concurrency = 7\n{tenant}"),
        "8",
        "7",
        "line 8: tenants.a.concurrency = 8: allowed at most 7 \
         (hint: unreachable: the largest tier_concurrency is 7)",
    );
    only(
        "[tiers.starter]\nweight = 1\nconcurrency = 5\n[tiers.b]\nweight = 1\n\
         concurrency = 3\n[tenants.a]\nconcurrency_promoted = ?\n",
        "2",
        "3",
        "line 8: tenants.a.concurrency_promoted = 2: allowed at least 3 \
         (hint: a promotion never lowers: concurrency is 3)",
    );
}

#[test]
fn a_minimum_needs_a_capacity_and_stays_below_its_maximum() {
    only(
        "?\nTIER concurrency_min = 5",
        "",
        "[engine]\nconcurrency = 5",
        "line 4: tiers.starter.concurrency_min = 5: allowed nothing without \
         engine.concurrency (hint: a minimum is a part of engine.concurrency: state that too)",
    );
    only(
        "[engine]\nconcurrency = 50\n[tenants.a]\nconcurrency = 4\nconcurrency_min = ?",
        "'10%'",
        "'8%'",
        "line 5: tenants.a.concurrency_min = '10%': allowed at most 4 \
         (hint: a minimum above its maximum: concurrency is 4)",
    );
    only(
        "[engine]\nconcurrency = 50\nTIER concurrency = 4\n[tenants.a]\nconcurrency_min = ?",
        "5",
        "4",
        "line 7: tenants.a.concurrency_min = 5: allowed at most 4 \
         (hint: a minimum above its maximum: the largest concurrency of a tier is 4)",
    );
}

#[test]
fn the_minima_that_are_known_fit_the_engine() {
    let text = "[tiers.starter]\nweight = 1\nconcurrency_min = 10\n[tiers.b]\nweight = 1\n\
                concurrency_min = '25%'\n[tenants.a]\nconcurrency_min = 20\n\
                [tenants.b]\nconcurrency_min = 1\n[engine]\nconcurrency = ?\n";
    only(
        text,
        "40",
        "42",
        "line 12: engine.concurrency = 40: allowed at least 41 (hint: the minima of tiers and \
         tenants are 41 together; the largest: tenants.a.concurrency_min 20, \
         tiers.starter.concurrency_min 10, tiers.b.concurrency_min 10)",
    );
}

#[test]
fn a_percentage_needs_something_to_be_a_part_of() {
    for key in ["concurrency", "tier_concurrency"] {
        only(
            &format!("TIER {key} = ?"),
            "'50%'",
            "'0%'",
            &format!(
                "line 3: tiers.starter.{key} = '50%': allowed a number of grants (hint: a \
                 percentage is a part of engine.concurrency: state that too)"
            ),
        );
    }
}

// B-2
#[test]
fn a_promotion_never_lowers() {
    only(
        "TIER concurrency = 'workspaces'\nconcurrency_promoted = ?",
        "63",
        "64",
        "line 4: tiers.starter.concurrency_promoted = 63: allowed at least 64 \
         (hint: a promotion never lowers: concurrency is 64)",
    );
    only(
        "TIER ?concurrency_promoted = 9",
        "",
        "concurrency = 9\n",
        "line 3: tiers.starter.concurrency_promoted = 9: allowed only beside concurrency \
         (hint: without concurrency there is nothing to be promoted from)",
    );
    only(
        "TIER concurrency = ?\nconcurrency_promoted = 9",
        "'none'",
        "9",
        "line 4: tiers.starter.concurrency_promoted = 9: allowed only beside concurrency \
         (hint: without concurrency there is nothing to be promoted from)",
    );
    only(
        "TIER concurrency = 8\n[tenants.a]\nconcurrency_promoted = ?",
        "7",
        "8",
        "line 5: tenants.a.concurrency_promoted = 7: allowed at least 8 \
         (hint: a promotion never lowers: concurrency is 8)",
    );
    only(
        "[engine]\nconcurrency = 80\nTIER concurrency = 'workspaces'\nconcurrency_promoted = ?",
        "81",
        "80",
        "line 6: tiers.starter.concurrency_promoted = 81: allowed at most 80 \
         (hint: unreachable: engine.concurrency is 80)",
    );
}

#[test]
fn a_soft_limit_is_at_most_its_hard_one() {
    only(
        "[budgets.org]\nhard = 'usd 5, mb 7'\nsoft = 'mb ?, s 9'",
        "8",
        "7",
        "line 3: budgets.org.soft = 'mb 8, s 9': allowed mb at most 7 \
         (hint: unreachable: the hard limit 7 comes before 8)",
    );
}

#[test]
fn a_kind_of_job_fits_through_somebodys_rate() {
    let text = "[costs]\nbig = ?\nTIER rate = '9 cost per 1s smooth burst 5'\n";
    only(
        text,
        "6",
        "5",
        "line 2: costs.big = 6: allowed at most 5 \
         (hint: no tenant could run it: the widest rate is 5 at once)",
    );
    let wide = text.replace("?", "6").replace("TIER", TIERS);
    for rate in ["none", "1 jobs per 1s", "6 cost per 1s"] {
        let other = format!("{wide}[tenants.a]\nrate = '{rate}'\n");
        assert!(Policy::from_toml(&other).is_ok(), "{rate}");
    }
}

// The same of a budget: the tightest that a tenant draws on, and of those the largest.
#[test]
fn a_kind_of_job_fits_into_somebodys_budget() {
    let text = "[costs]\nbig = ?\n[budgets.org]\nhard = 'cost 5, usd 1'\n[budgets.wide]\n\
                hard = 'cost 9'\nTIER budgets = 'org, wide'\n";
    only(
        text,
        "6",
        "5",
        "line 2: costs.big = 6: allowed at most 5 \
         (hint: no tenant could run it: the largest hard budget of cost is 5)",
    );
    let wide = text.replace("?", "6").replace("TIER", TIERS);
    for limits in ["budgets = 'none'", "budgets = 'wide'", "budgets = 'other'"] {
        let more = "[budgets.other]\nhard = 'usd 1'\nsoft = 'cost 5'\n";
        let other = format!("{wide}[tenants.a]\n{limits}\n{more}");
        assert!(Policy::from_toml(&other).is_ok(), "{limits}");
    }
    let rate = "[tenants.a]\nbudgets = 'wide'\nrate = '7 cost per 1s'\n";
    only(
        &format!("{text}{rate}"),
        "8",
        "7",
        "line 2: costs.big = 8: allowed at most 7 \
         (hint: no tenant could run it: the widest rate is 7 at once)",
    );
}

#[test]
fn a_queue_is_at_most_the_engines() {
    only(
        "[engine]\nqueue_max = 500\nTIER queue_max = ?",
        "501",
        "500",
        "line 5: tiers.starter.queue_max = 501: allowed at most 500 \
         (hint: unreachable: engine.queue_max is 500)",
    );
    only(
        "TIER [tenants.a]\nqueue_max = ?",
        "1_000_001",
        "1_000_000",
        "line 4: tenants.a.queue_max = 1_000_001: allowed at most 1000000 \
         (hint: unreachable: engine.queue_max is 1000000)",
    );
    let text = "[engine]\nqueue_max = 500\n[tiers.starter]\nweight = 1\n";
    assert!(Policy::from_toml(text).is_ok(), "the default is not stated, and is cut");
    let wrong = format!("{}queue_max = 1_048_576\n", text.replace("500", "'x'"));
    assert_eq!(refused(&wrong).len(), 1, "a refused bound leads to no second problem");
}

// A tenant may be in any tier, but they all are in some.
#[test]
fn the_minima_of_tenants_fit_the_tiers() {
    let tenants = "[tenants.a]\nconcurrency_min = 4\n[tenants.b]\nconcurrency_min = '3%'\n\
                   [engine]\nconcurrency = 100\n";
    let one = format!("TIER tier_concurrency = ?\n{tenants}");
    only(
        &one,
        "6",
        "7",
        "line 3: tiers.starter.tier_concurrency = 6: allowed at least 7 (hint: the minima of \
         tenants are 7 together, and the tiers have 6; the largest: tenants.a.concurrency_min 4, \
         tenants.b.concurrency_min 3)",
    );
    only(
        &format!("{one}[tiers.b]\nweight = 1\ntier_concurrency = 2\n"),
        "4",
        "5",
        "line 3: tiers.starter.tier_concurrency = 4: allowed at least 5 (hint: the minima of \
         tenants are 7 together, and the tiers have 6; the largest: tenants.a.concurrency_min 4, \
         tenants.b.concurrency_min 3)",
    );
    let open = one.replace("TIER", TIERS).replace("?", "6") + "[tiers.b]\nweight = 1\n";
    assert!(Policy::from_toml(&open).is_ok(), "tier b has no bound");
    let paused = one.replace("TIER", TIERS).replace("?", "0");
    assert!(Policy::from_toml(&paused).is_ok(), "the pause will end");
}

#[test]
fn whatever_else_is_said_everything_can_be_paused() {
    let text = "[engine]\nconcurrency = 50\n[tiers.starter]\nweight = 1\nconcurrency = 20\n\
                concurrency_min = 5\ntier_concurrency = 40\nconcurrency_promoted = 30\n\
                [tenants.a]\nconcurrency = 30\nconcurrency_min = '10%'\n";
    let keys = [
        "ENGINE__CONCURRENCY",
        "TIERS__STARTER__CONCURRENCY",
        "TIERS__STARTER__TIER_CONCURRENCY",
        "TENANTS__A__CONCURRENCY",
    ];
    for key in keys {
        let vars = [(format!("FAIRLANE__{key}"), "0".to_owned())];
        if let Err(error) = Policy::from_toml_with_env(text, vars) {
            panic!("{key}: {error}");
        }
    }
}

#[test]
fn a_value_that_is_refused_leads_to_no_second_problem() {
    let text = "[engine]\nconcurrency = 'x'\n[tiers.starter]\nweight = 1\n\
                concurrency = '50%'\nconcurrency_min = 5\n";
    assert_eq!(refused(text).len(), 1, "{:#?}", refused(text));
    let text = "[tiers.starter]\nweight = 1\nconcurrency = 'x'\nconcurrency_promoted = 5\n\
                [tenants.a]\nconcurrency_promoted = 5\n";
    assert_eq!(refused(text).len(), 1, "{:#?}", refused(text));
    let text = "[engine]\nconcurrency = 50\n[tiers.starter]\nweight = 1\nconcurrency = 4\n\
                [tenants.a]\nconcurrency = 'x'\nconcurrency_min = 5\n";
    assert_eq!(refused(text).len(), 1, "{:#?}", refused(text));
}
