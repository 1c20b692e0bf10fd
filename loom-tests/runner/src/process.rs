//! Runs models, each in a process of its own, a few at a time and none for ever.

use crate::binary::Binary;
use crate::verdict::{Failure, classify};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

/// One process to run.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) model: &'a str,
    pub(crate) mutant: Option<&'a str>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Run {
    /// `None`: it ended well.
    pub(crate) failure: Option<Failure>,
    /// Iterations of a model that ended well without a mutant.
    pub(crate) iterations: Option<u64>,
    pub(crate) time: Duration,
    pub(crate) log: PathBuf,
}

/// Where and how long processes run.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    pub(crate) binary: &'a Binary,
    logs: PathBuf,
    time_max: Duration,
    at_once: usize,
}

impl<'a> Runner<'a> {
    /// Logs go to `logs`. A model may take 120 s, or `FAIRLANE_LOOM_SECONDS`; as many run at once as
    /// the machine has cores, or `FAIRLANE_LOOM_JOBS`.
    pub(crate) fn new(binary: &'a Binary, logs: PathBuf) -> Result<Runner<'a>, String> {
        fs::create_dir_all(&logs).map_err(|e| format!("{}: {e}", logs.display()))?;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let time_max = Duration::from_secs(number("FAIRLANE_LOOM_SECONDS", 120)?);
        let at_once = number("FAIRLANE_LOOM_JOBS", cores as u64)?.max(1) as usize;
        Ok(Runner { binary, logs, time_max, at_once })
    }

    /// Runs all jobs; the results are in the order of the jobs.
    pub(crate) fn run(&self, jobs: &[Job<'_>]) -> Result<Vec<Run>, String> {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..self.at_once.min(jobs.len()) {
                scope.spawn(|| {
                    while let Some((at, job)) = take(jobs, &next) {
                        let result = self.run_one(job);
                        results.lock().expect("no worker panics").push((at, result));
                    }
                });
            }
        });
        let mut results = results.into_inner().expect("no worker panics");
        results.sort_by_key(|(at, _)| *at);
        results.into_iter().map(|(_, result)| result).collect()
    }

    fn run_one(&self, job: &Job<'_>) -> Result<Run, String> {
        let name = [job.model, job.mutant.unwrap_or("unmutated")].join("-");
        let log = self.logs.join(format!("{name}.log"));
        let counts = self.logs.join(format!("{name}.counts"));
        // The file is appended to, so what an earlier run left would be counted again.
        fs::remove_file(&counts)
            .or_else(|e| if e.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
            .map_err(|e| format!("{}: {e}", counts.display()))?;
        let started = Instant::now();
        let mut child =
            self.command(job, &log, &counts)?.spawn().map_err(|e| format!("{name}: {e}"))?;
        let status = wait(&mut child, self.time_max).map_err(|e| format!("{name}: {e}"))?;
        Ok(Run {
            failure: failure(status, &log)?,
            iterations: iterations(&counts, job.model),
            time: started.elapsed(),
            log,
        })
    }

    fn command(&self, job: &Job<'_>, log: &Path, counts: &Path) -> Result<Command, String> {
        let test =
            self.binary.models.get(job.model).ok_or_else(|| format!("no model {}", job.model))?;
        let output = File::create(log).map_err(|e| format!("{}: {e}", log.display()))?;
        let errors = output.try_clone().map_err(|e| format!("{}: {e}", log.display()))?;
        let mut command = Command::new(&self.binary.path);
        command
            .args(["--exact", test, "--nocapture"])
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        // What would change what loom explores or how a failure reads is not inherited.
        for (variable, _) in
            env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LOOM_"))
        {
            command.env_remove(variable);
        }
        command
            .env_remove("FAIRLANE_MUTANT")
            .env("RUST_BACKTRACE", "0")
            .env("FAIRLANE_LOOM_COUNTS", counts);
        if let Some(mutant) = job.mutant {
            command.env("FAIRLANE_MUTANT", mutant);
            // It fails within its model's own bound; in a wider one that would only take longer.
            command.env_remove("FAIRLANE_LOOM_EXTRA_PREEMPTIONS");
        }
        Ok(command)
    }
}

fn number(variable: &str, default: u64) -> Result<u64, String> {
    env::var(variable)
        .map_or(Ok(default), |text| text.parse().map_err(|e| format!("{variable}={text}: {e}")))
}

fn take<'j, 'a>(jobs: &'j [Job<'a>], next: &AtomicUsize) -> Option<(usize, &'j Job<'a>)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    jobs.get(at).map(|job| (at, job))
}

/// How the child ended; `None` when it was out of time and had to be killed.
fn wait(child: &mut Child, time_max: Duration) -> std::io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    while started.elapsed() < time_max {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

fn failure(status: Option<ExitStatus>, log: &Path) -> Result<Option<Failure>, String> {
    match status {
        None => Ok(Some(Failure::Hang)),
        Some(status) if status.success() => Ok(None),
        Some(_) => {
            let output = fs::read(log).map_err(|e| format!("{}: {e}", log.display()))?;
            Ok(Some(classify(&String::from_utf8_lossy(&output))))
        }
    }
}

/// The iterations that the harness wrote down for `model`.
fn iterations(counts: &Path, model: &str) -> Option<u64> {
    let text = fs::read_to_string(counts).ok()?;
    let (name, iterations) = text.trim_end().split_once(' ')?;
    (name == model).then(|| iterations.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{Binary, Duration, Failure, Job, Runner};
    use std::collections::BTreeMap;

    /// This test binary stands in for the models: it is run again with one of its own tests.
    #[test]
    fn a_process_out_of_time_counts_as_hanging() {
        let path = std::env::current_exe().unwrap();
        let models = BTreeMap::from([("sleeper".to_owned(), "process::tests::sleeper".to_owned())]);
        let binary = Binary { path, models };
        let logs = std::env::temp_dir().join(format!("loom-runner-{}", std::process::id()));
        let mut runner = Runner::new(&binary, logs.clone()).unwrap();
        runner.time_max = Duration::from_millis(300);
        let runs = runner.run(&[Job { model: "sleeper", mutant: Some("sleep") }]).unwrap();
        assert_eq!(runs[0].failure, Some(Failure::Hang));
        runner.time_max = Duration::from_secs(60);
        let runs = runner.run(&[Job { model: "sleeper", mutant: None }]).unwrap();
        assert_eq!((runs[0].failure, runs[0].iterations), (None, None));
        std::fs::remove_dir_all(logs).unwrap();
    }

    #[test]
    fn sleeper() {
        if std::env::var_os("FAIRLANE_MUTANT").is_some() {
            std::thread::sleep(Duration::from_secs(120));
        }
    }
}
