//! The report as one page to look at: a single file with inline charts, for a light and a dark
//! screen, a telephone and paper. It asks nothing of the network and has no script, and its content
//! policy lets neither happen; the same report gives the same bytes.

mod axis;
#[cfg(test)]
mod colours;
mod file;
mod lines;
mod plot;
mod policy;
mod shares;
mod summary;
mod tenants;
#[cfg(test)]
mod tests;
mod text;
mod waits;

use fairlane::Policy;

pub(crate) use self::file::PageFile;
use self::text::escaped;
use super::{Course, Report, SchedulerReport, TenantRow};

const STYLE: &str = include_str!("style.css");
/// Lines of a policy that are shown at once; longer ones are folded away.
const OPEN_LINES_MAX: usize = 100;

/// What a page tells.
pub(crate) struct Page<'a> {
    /// What was run, in a few words.
    pub(crate) title: &'a str,
    /// How it was run; a line end is as good as a blank.
    pub(crate) setup: &'a str,
    pub(crate) report: &'a Report,
    /// In force while the first scheduler ran.
    pub(crate) policy: &'a Policy,
}

/// One scheduler's part of the report.
struct Run<'a> {
    report: &'a SchedulerReport,
    /// What people call it.
    label: &'a str,
    /// The class of its colours: those of a plain queue or of a fair scheduler.
    class: &'static str,
}

impl Run<'_> {
    /// The row of a tenant: names are the same under all schedulers, and mostly so is their order.
    fn row(&self, place: usize, tenant: &str) -> Option<&TenantRow> {
        let rows = &self.report.tenants;
        let same = |row: &&TenantRow| row.tenant == tenant;
        rows.get(place).filter(same).or_else(|| rows.iter().find(same))
    }

    fn course(&self) -> &Course {
        &self.report.course
    }

    /// The scheduler as it stands in a sentence.
    fn under(&self) -> String {
        match self.label {
            "fair" => "fair scheduling".to_owned(),
            label => label.to_owned(),
        }
    }
}

fn runs(report: &Report) -> Vec<Run<'_>> {
    let run = |(name, report)| match name {
        "fifo" => Run { report, label: "FIFO", class: "fifo" },
        name => Run { report, label: name, class: "fair" },
    };
    report.schedulers.iter().map(|(name, report)| run((*name, report))).collect()
}

/// The key to a chart's colours.
fn key(runs: &[Run], marks: &str) -> String {
    let entry = |run: &Run| format!("<li class=\"{}\">{}</li>", run.class, run.label);
    format!("<ul class=\"key {marks}\">{}</ul>\n", runs.iter().map(entry).collect::<String>())
}

/// Renders the page.
fn render(page: &Page) -> String {
    let Page { report, .. } = page;
    let setup: Vec<&str> = page.setup.lines().collect();
    let (title, setup) = (escaped(page.title), escaped(&setup.join(" ")));
    let policy = policy::toml(page.policy);
    let policy: Vec<String> = policy.lines().map(escaped).collect();
    let open = if policy.len() <= OPEN_LINES_MAX { " open=\"\"" } else { "" };
    let main = [
        summary::tiles(report),
        summary::fate(report),
        shares::figure(report),
        lines::waits(report),
        lines::depth(report),
        tenants::section(report),
    ];
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; img-src data:\"/>\n\
         <link rel=\"icon\" href=\"data:,\"/>\n<title>{title}</title>\n<style>\n{STYLE}</style></head>\n\
         <body><header><h1>{title}</h1>\n<p class=\"finding\">{finding}</p>\n\
         <p class=\"setup\">{setup}</p></header>\n<main>\n{main}\
         <section><h2>Policy in force</h2>\n<details{open}><summary>Every value, as TOML</summary>\n\
         <pre>{policy}</pre></details></section>\n</main>\n\
         <footer>fairlane {version}. Share ratios compare what was served with weighted max-min \
         shares, window by window.</footer></body></html>\n",
        finding = summary::finding(report),
        main = main.concat(),
        policy = policy.join("\n"),
        version = env!("CARGO_PKG_VERSION"),
    )
}
