//! `check` and `record`: every model explores enough, and every mutant dies as promised.

use crate::binary::{self, Binary};
use crate::config::{self, Floors, Kill, Mutant};
use crate::process::{Job, Run, Runner};
use crate::{Filter, sites};
use std::path::Path;

/// Counts verdicts while they are printed.
#[derive(Debug, Default)]
struct Report {
    passed: usize,
    failed: usize,
}

impl Report {
    fn row(&mut self, row: &str, run: &Run, problem: Option<String>) {
        let seconds = run.time.as_secs_f64();
        match problem {
            None => {
                self.passed += 1;
                println!("ok    {row} {seconds:>6.1} s");
            }
            Some(problem) => {
                self.failed += 1;
                println!("FAIL  {row} {seconds:>6.1} s  {problem}; see {}", run.log.display());
            }
        }
    }

    fn problem(&mut self, problem: &str) {
        self.failed += 1;
        println!("FAIL  {problem}");
    }

    /// Prints the last line and says whether all is well.
    fn end(&self) -> bool {
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0
    }
}

/// Runs every model and every mutant.
pub(crate) fn check(root: &Path, filter: &Filter) -> Result<bool, String> {
    let loom_tests = root.join("loom-tests");
    let mutants = config::mutants(&loom_tests)?;
    let floors = config::floors(&loom_tests)?;
    let binary = prepared(root, true)?;
    let runner = Runner::new(&binary, root.join("target/loom-runs"))?;
    let mut report = Report::default();
    for problem in problems(root, &binary, &mutants, &floors)? {
        report.problem(&problem);
    }
    check_models(&runner, filter, &floors, &mut report)?;
    check_mutants(&runner, filter, &mutants, &mut report)?;
    Ok(report.end())
}

/// Runs every model and writes down how much it explored.
pub(crate) fn record(root: &Path, filter: &Filter) -> Result<bool, String> {
    let loom_tests = root.join("loom-tests");
    let binary = prepared(root, false)?;
    // The floors of models that are not run now stay, unless the model is gone.
    let mut floors = config::floors(&loom_tests).unwrap_or_default();
    floors.retain(|model, _| binary.models.contains_key(model));
    let runner = Runner::new(&binary, root.join("target/loom-runs"))?;
    let mut report = Report::default();
    for (model, run) in run_models(&runner, filter)? {
        let explored = run.failure.is_none().then_some(run.iterations).flatten();
        floors.extend(explored.map(|iterations| (model.to_owned(), iterations)));
        let row = format!("{model:<40} {:>9} iterations", explored.unwrap_or(0));
        report.row(&row, &run, explored.is_none().then(|| unexplored(&run)));
    }
    config::write_floors(&loom_tests, &floors)?;
    Ok(report.end())
}

/// `record` may bring the lockfile up to date, `check` takes it as it is.
fn prepared(root: &Path, locked: bool) -> Result<Binary, String> {
    loom_prepare::prepare(root)?;
    binary::build(root, &root.join("loom-tests"), locked)
}

/// What is wrong with the lists, whatever the models say.
fn problems(
    root: &Path,
    binary: &Binary,
    mutants: &[Mutant],
    floors: &Floors,
) -> Result<Vec<String>, String> {
    let mut problems = sites::problems(&sites::scan(root)?, mutants);
    let unknown = |model: &&String| !binary.models.contains_key(*model);
    let killers = mutants.iter().filter_map(|m| m.kill.as_ref().map(|kill| &kill.model));
    problems.extend(killers.filter(unknown).map(|model| format!("mutants.toml: no model {model}")));
    problems.extend(
        floors.keys().filter(unknown).map(|model| format!("floors.toml: no model {model}")),
    );
    Ok(problems)
}

fn run_models<'a>(runner: &Runner<'a>, filter: &Filter) -> Result<Vec<(&'a str, Run)>, String> {
    let models: Vec<&str> =
        runner.binary.models.keys().map(String::as_str).filter(|m| filter.takes(m)).collect();
    let jobs: Vec<Job<'_>> = models.iter().map(|&model| Job { model, mutant: None }).collect();
    Ok(models.into_iter().zip(runner.run(&jobs)?).collect())
}

fn check_models(
    runner: &Runner<'_>,
    filter: &Filter,
    floors: &Floors,
    report: &mut Report,
) -> Result<(), String> {
    for (model, run) in run_models(runner, filter)? {
        let floor = floors.get(model).copied();
        let explored = run.iterations.map_or("-".to_owned(), |n| n.to_string());
        let row = format!("model  {model:<40} {explored:>9} iterations");
        report.row(&row, &run, too_little(&run, floor));
    }
    Ok(())
}

/// Why a run without a mutant does not count, if so.
fn too_little(run: &Run, floor: Option<u64>) -> Option<String> {
    match (run.failure, run.iterations, floor) {
        (None, Some(_), None) => Some("it has no floor: run `record`".to_owned()),
        (None, Some(iterations), Some(floor))
            if iterations.saturating_mul(10) >= floor.saturating_mul(9) =>
        {
            None
        }
        (None, Some(_), Some(floor)) => {
            Some(format!("it explored {floor} when its floor was recorded"))
        }
        _ => Some(unexplored(run)),
    }
}

fn unexplored(run: &Run) -> String {
    run.failure.map_or_else(
        || "the model did not call `check` with the name of its test".to_owned(),
        |failure| format!("it failed without a mutant: {failure}"),
    )
}

fn check_mutants(
    runner: &Runner<'_>,
    filter: &Filter,
    mutants: &[Mutant],
    report: &mut Report,
) -> Result<(), String> {
    let kills = kills(runner.binary, filter, mutants);
    let jobs: Vec<Job<'_>> =
        kills.iter().map(|(site, kill)| Job { model: &kill.model, mutant: Some(site) }).collect();
    for ((site, kill), run) in kills.iter().zip(runner.run(&jobs)?) {
        let row = format!("mutant {site:<40} {:>9} in {}", kill.expect, kill.model);
        report.row(&row, &run, survived(&run, kill));
    }
    Ok(())
}

fn survived(run: &Run, kill: &Kill) -> Option<String> {
    match run.failure {
        None => Some("it survived".to_owned()),
        Some(failure) if failure == kill.expect => None,
        Some(failure) => Some(format!("it died of {failure}")),
    }
}

/// The mutants to run, with the models that notice them. Unknown models are reported elsewhere.
pub(crate) fn kills<'m>(
    binary: &Binary,
    filter: &Filter,
    mutants: &'m [Mutant],
) -> Vec<(&'m str, &'m Kill)> {
    let killed = mutants.iter().filter_map(|m| m.kill.as_ref().map(|kill| (m.site.as_str(), kill)));
    killed
        .filter(|(_, kill)| filter.takes(&kill.model) && binary.models.contains_key(&kill.model))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Kill, Run, survived, too_little};
    use crate::verdict::Failure;

    fn run(failure: Option<Failure>, iterations: Option<u64>) -> Run {
        Run { failure, iterations, time: std::time::Duration::ZERO, log: "log".into() }
    }

    #[test]
    fn a_model_explores_nine_tenths_of_its_floor() {
        assert_eq!(too_little(&run(None, Some(90)), Some(100)), None);
        assert!(too_little(&run(None, Some(89)), Some(100)).is_some());
    }

    #[test]
    fn a_model_without_floor_count_or_success_fails() {
        assert!(too_little(&run(None, Some(90)), None).is_some());
        assert!(too_little(&run(None, None), Some(100)).is_some());
        assert!(too_little(&run(Some(Failure::Hang), None), Some(100)).is_some());
    }

    #[test]
    fn a_mutant_dies_of_what_was_promised() {
        let kill = Kill { model: "m".to_owned(), expect: Failure::Race };
        assert_eq!(survived(&run(Some(Failure::Race), None), &kill), None);
        assert!(survived(&run(Some(Failure::Hang), None), &kill).is_some());
        assert!(survived(&run(None, None), &kill).is_some());
    }
}
