//! The page as a whole, over ordinary and extreme runs.
//!
//! With `FAIRLANE_PAGES=FOLDER` the extreme pages are also written there, to be looked at.

use fairlane::{Nanos, Reason, Weight};

use std::path::Path;

use super::*;
use crate::report::{Ending, JobCounts, OTHER, Recording, Service, TenantInfo};

const MS: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MS;

/// A run made up for a page.
struct Case {
    name: &'static str,
    tenants: Vec<String>,
    schedulers: Vec<&'static str>,
    /// Jobs of each tenant; the first has twenty times as many.
    jobs: u64,
    /// Time between two jobs of a tenant.
    gap: u64,
    /// Waits of the smaller tenants under a fair scheduler and under a plain one.
    waits: [u64; 2],
}

impl Case {
    fn new(name: &'static str, tenants: usize) -> Case {
        Case {
            name,
            tenants: (0..tenants).map(|number| format!("tenant-{number:03}")).collect(),
            schedulers: vec!["fair", "fifo"],
            jobs: 40,
            gap: 10 * MS,
            waits: [MS, 400 * MS],
        }
    }

    fn report(&self) -> Report {
        let runs = self.schedulers.iter().map(|name| (*name, self.run(*name == "fifo")));
        let runs: Vec<_> = runs.collect();
        let jobs = runs.first().map_or_else(JobCounts::default, |(_, (jobs, _))| jobs.clone());
        let schedulers = runs.into_iter().map(|(name, (_, report))| (name, report)).collect();
        Report { jobs, schedulers }
    }

    /// Each tenant's jobs come at even gaps; of every ten one is refused to the largest, and a plain
    /// scheduler serves the others only one in three.
    fn run(&self, plain: bool) -> (JobCounts, SchedulerReport) {
        let tier = |number: usize| ["starter", "growth", "scale"][number % 3].to_owned();
        let infos = self.tenants.iter().enumerate().map(|(number, name)| TenantInfo {
            name: name.clone(),
            tier: tier(number),
            weight: Weight::new(1.0 + (number % 3) as f64 / 2.0).unwrap(),
        });
        let mut recording = Recording::new(infos.collect(), Nanos(self.gap / 100));
        let mut services = Vec::new();
        for tenant in 0..self.tenants.len() as u32 {
            let (jobs, gap) =
                if tenant == 0 { (self.jobs * 20, self.gap / 20) } else { (self.jobs, self.gap) };
            let wait = if tenant == 0 { self.waits[1] } else { self.waits[usize::from(plain)] };
            for job in 0..jobs {
                let (at, wait) = (Nanos(job * gap), Nanos(wait + wait * (job * 37 % 100) / 50));
                let verdict =
                    if tenant == 0 && job % 10 == 0 { Err(Reason::QueueFull) } else { Ok(()) };
                recording.offer(at, tenant, 1 + tenant % 2, verdict);
                if verdict.is_ok() && (!plain || tenant == 0 || job % 3 == 0) {
                    services.push(Service {
                        at: at.after(wait),
                        wait,
                        tenant,
                        cost: 1 + tenant % 2,
                    });
                }
            }
        }
        let returned = services.len() as u64;
        let (jobs, report) = recording.finish(Ending { services, ..Ending::default() });
        assert!(jobs.accepted >= returned);
        (JobCounts { returned: jobs.accepted - returned, lost: 0, ..jobs }, report)
    }

    fn page(&self) -> String {
        let page = Page {
            title: "A run",
            setup: "Made up for a test.",
            report: &self.report(),
            policy: &Policy::default(),
        };
        render(&page)
    }
}

fn hostile_names() -> Vec<String> {
    let names = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</title></style></table>",
        "<!-- & -->]]>&amp;&#0;",
        "nul\0 bell\u{7} escape\u{1b}[31m",
        "line\r\nbreak\ttab",
        "\u{202e}moc.live",
        "שלום עולם",
        "日本語の長い長い長い長い長い長い名前",
        "z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}",
        " ",
        "javascript:alert(1)",
        "{{7*7}} ${x}",
    ];
    let long = ["W".repeat(256), "\"".repeat(256)];
    names.into_iter().map(str::to_owned).chain(long).collect()
}

fn extremes() -> Vec<Case> {
    let many = Case { jobs: 12, ..Case::new("many", 130) };
    vec![
        Case::new("usual", 51),
        Case { tenants: hostile_names(), ..Case::new("hostile", 0) },
        Case::new("one", 1),
        Case::new("two", 2),
        Case::new("nobody", 0),
        many,
        Case { schedulers: vec!["fair"], ..Case::new("fair-only", 20) },
        Case { schedulers: vec!["fifo"], ..Case::new("fifo-only", 20) },
        Case { schedulers: vec![], ..Case::new("no-run", 3) },
        Case { jobs: 1, ..Case::new("unjudged", 12) },
        Case { waits: [0, 0], ..Case::new("no-wait", 12) },
        Case { waits: [HOUR, 30 * HOUR], gap: HOUR, ..Case::new("hours", 12) },
        Case { waits: [5_000, 90_000 * MS], ..Case::new("wide", 30) },
        Case { jobs: 0, ..Case::new("no-jobs", 3) },
    ]
}

/// Walks the tags: each opened one is closed in its place, attributes are quoted, neither text nor
/// values hold bare markup, and nothing is fetched or run. Gives the names of the elements in their order.
fn elements(page: &str) -> Result<Vec<String>, String> {
    let body = page.strip_prefix("<!DOCTYPE html>\n").ok_or("no doctype")?;
    let (mut open, mut seen, mut rest) = (Vec::new(), Vec::new(), body);
    while let Some(at) = rest.find('<') {
        text(&rest[..at])?;
        let end = rest[at..].find('>').ok_or("a tag does not end")? + at;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Err(format!("</{name}> closes something else"));
            }
            continue;
        }
        let inner = tag.strip_suffix('/');
        let name = attributes(inner.unwrap_or(tag))?;
        seen.push(name.to_owned());
        if inner.is_none() {
            open.push(name);
        }
    }
    text(rest)?;
    if open.is_empty() { Ok(seen) } else { Err(format!("{open:?} are still open")) }
}

fn text(text: &str) -> Result<(), String> {
    let bare = text.split('&').skip(1).find(|after| {
        let name: String = after.chars().take_while(|c| *c != ';').take(9).collect();
        !["amp", "lt", "gt", "#34", "#39"].contains(&name.as_str())
    });
    let control = text.chars().find(|c| c.is_control() && *c != '\n');
    match (bare, control) {
        (None, None) => Ok(()),
        (bare, control) => Err(format!("bare: {bare:?} {control:?}")),
    }
}

/// The element's name, once its attributes are found to be quoted.
fn attributes(tag: &str) -> Result<&str, String> {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    while !rest.is_empty() {
        let (key, after) = rest.split_once("=\"").ok_or_else(|| format!("unquoted: {tag}"))?;
        let (value, after) = after.split_once('"').ok_or_else(|| format!("open: {tag}"))?;
        if !key.trim().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(format!("key {key:?} in {tag}"));
        }
        text(value)?;
        let fetches = matches!(key.trim(), "src" | "href") && value != "data:,";
        if fetches || key.trim().starts_with("on") {
            return Err(format!("{tag} fetches or runs something"));
        }
        rest = after;
    }
    Ok(name)
}

/// What is between two marks.
fn between<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let start = page.find(from).unwrap_or_else(|| panic!("no {from}")) + from.len();
    let length = page[start..].find(to).unwrap_or_else(|| panic!("no {to} after {from}"));
    &page[start..start + length]
}

#[test]
fn every_page_is_well_formed_small_and_on_its_own() {
    let folder = std::env::var_os("FAIRLANE_PAGES");
    for case in extremes() {
        let page = case.page();
        elements(&page).unwrap_or_else(|problem| panic!("{}: {problem}", case.name));
        assert!(page.len() < 500_000, "{}: {} bytes", case.name, page.len());
        for foreign in ["http:", "https:", "url(", "@import", "<script", "NaN", "inf%"] {
            assert!(!page.contains(foreign), "{}: {foreign}", case.name);
        }
        if let Some(folder) = &folder {
            std::fs::write(Path::new(folder).join(format!("{}.html", case.name)), page).unwrap();
        }
    }
}

#[test]
fn the_check_of_form_rejects_what_browsers_only_forgive() {
    // Negative control.
    let wrap = |inner: &str| elements(&format!("<!DOCTYPE html>\n<p>{inner}</p>"));
    assert_eq!(wrap("a &amp; <b class=\"x\">b</b><br/>").unwrap(), ["p", "b", "br"]);
    for bad in ["<b>", "</p><p></b>", "a & b", "<b class=x></b>", "\u{1b}", "<i a=\"&\"></i>", "<"]
    {
        assert!(wrap(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    for (one, other) in extremes().iter().zip(extremes()) {
        assert_eq!(one.page(), other.page(), "{}", one.name);
    }
    let slower = Case { waits: [2 * MS, 400 * MS], ..Case::new("slower", 51) };
    assert_ne!(slower.page(), Case::new("usual", 51).page());
}

#[test]
fn hostile_names_leave_the_structure_of_the_page_as_it_is() {
    let hostile = Case { tenants: hostile_names(), ..Case::new("hostile", 0) };
    let plain = Case::new("plain", hostile.tenants.len());
    assert_eq!(elements(&hostile.page()), elements(&plain.page()));
    let page = hostile.page();
    assert!(!page.contains(['\0', '\u{1b}', '\u{202e}', '\r']));
    assert!(page.contains("title=\"\\u{202e}moc.live\""));
    assert!(page.contains("title=\"&lt;script&gt;alert(1)&lt;/script&gt;\""));
}

#[test]
fn hostile_words_around_the_run_are_escaped_as_well() {
    let hostile = "</title><script>alert('1')</script>\"";
    let case = Case::new("words", 2);
    let policy = format!("[tenants.'{}']\nweight = 2", "</pre><script>");
    let page = Page {
        title: hostile,
        setup: hostile,
        report: &case.report(),
        policy: &Policy::from_toml(&policy).unwrap(),
    };
    let page = render(&page);
    assert!(!page.contains("<script"));
    assert!(page.contains("[tenants.&#34;&lt;/pre&gt;&lt;script&gt;&#34;]"));
    elements(&page).unwrap();
}

#[test]
fn each_tenant_has_one_row_and_one_line() {
    for case in [Case::new("usual", 51), Case { jobs: 100, ..Case::new("all", 100) }] {
        let page = case.page();
        let table = between(&page, "<tbody>", "</tbody>");
        assert_eq!(table.matches("<tr>").count(), case.tenants.len());
        for tenant in &case.tenants {
            assert_eq!(table.matches(&format!("<bdi title=\"{tenant}\">")).count(), 1, "{tenant}");
            assert_eq!(page.matches(&format!("<g><title>{tenant} (")).count(), 1, "{tenant}");
        }
    }
}

#[test]
fn tenants_beyond_the_rows_share_one() {
    let page = Case { jobs: 12, ..Case::new("many", 130) }.page();
    let table = between(&page, "<tbody>", "</tbody>");
    assert_eq!(table.matches("<tr>").count(), 101);
    assert_eq!(table.matches(&format!("<bdi title=\"{OTHER}\">")).count(), 1);
    assert!(page.contains("All other tenants (129)"));
}

#[test]
fn the_page_stays_small_when_every_name_and_the_policy_are_as_large_as_they_may_be() {
    let tenants = (0..130).map(|number| format!("{number:03}{}", "\"".repeat(253)));
    let case = Case { tenants: tenants.collect(), jobs: 1_000, ..Case::new("large", 0) };
    let own = (0..10_000).map(|number| format!("[tenants.'{number:04}{}']\n", "&".repeat(252)));
    let policy = Policy::from_toml(&own.collect::<String>()).unwrap();
    let page = Page { title: "", setup: "", report: &case.report(), policy: &policy };
    let bytes = render(&page).len();
    assert!(bytes < 500_000, "{bytes}");
}

#[test]
fn the_finding_follows_the_figures_both_ways() {
    let finding =
        |case: &Case| between(&case.page(), "class=\"finding\">", "</p>").replace('\u{a0}', " ");
    let case = Case::new("good", 21);
    let least = |scheduler: &str, under: &str| {
        let least = case.report().scheduler(scheduler).unwrap().min_share_ratio.unwrap();
        format!("<b class=\"{scheduler}\">{:.0} %</b> under {under}", 100.0 * least)
    };
    let (fair, fifo) = (least("fair", "fair scheduling"), least("fifo", "FIFO"));
    let good = finding(&case);
    assert!(good.contains(&format!("worst-off tenant got {fair} and {fifo}.")), "{good}");
    let wait = "waited at most <b class=\"fair\">1.94 ms</b> under fair scheduling";
    assert!(good.contains(wait), "{good}");
    let swapped = Case { schedulers: vec!["fifo", "fair"], ..Case::new("swapped", 21) };
    let swapped = finding(&swapped);
    assert!(swapped.contains(&format!("worst-off tenant got {fifo} and {fair}.")), "{swapped}");
    let alone = finding(&Case { schedulers: vec!["fair"], ..Case::new("alone", 21) });
    assert!(alone.contains(&format!("worst-off tenant got {fair}. Half")), "{alone}");
    let one = finding(&Case::new("one", 1));
    assert!(one.contains("There was one tenant"), "{one}");
    let unjudged = finding(&Case { jobs: 1, ..Case::new("unjudged", 12) });
    assert!(unjudged.contains("too little work"), "{unjudged}");
    let even = finding(&Case { jobs: 0, ..Case::new("no-jobs", 3) });
    assert!(!even.contains("under"), "{even}");
}
