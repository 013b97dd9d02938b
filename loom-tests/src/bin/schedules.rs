//! Runs larger programs under random schedules, by shuttle. `cargo shuttle`; `README.md` says the rest.

use std::process::ExitCode;

#[cfg(not(shuttle))]
fn main() -> ExitCode {
    eprintln!(
        "error: not one program was built: this was compiled without `--cfg shuttle`.\n\
         `cargo shuttle` sets it by build.rustflags, which an environment variable RUSTFLAGS overrides: unset it, or \
         add `--cfg shuttle` to it."
    );
    ExitCode::from(2)
}

#[cfg(shuttle)]
fn main() -> ExitCode {
    match runner::main() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

#[cfg(shuttle)]
mod runner {
    use std::hash::{BuildHasher, Hasher, RandomState};
    use std::io;
    use std::process::ExitCode;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use loom_tests::child::{self, Ended, Outcome};
    use loom_tests::schedules::{self, Choice, PROGRAMS, Program};

    /// How long each program runs under each choice of schedules, unless told.
    const SECONDS: u64 = 10;
    /// Executions that one seed stands for. PCT measures the program in the first, and needs some more.
    const BATCH: usize = 50;
    /// A batch that takes longer goes round in circles.
    const LIMIT: Duration = Duration::from_secs(120);
    /// Batches in which a seeded bug must show.
    const SEEDED_BATCHES: u64 = 200;

    const USAGE: &str = "\
usage: schedules [--seconds <n>] [<name or part of it>..]
       schedules --seed <n> --random|--pct <name>       repeats a batch that failed
       schedules --list";

    pub(super) fn main() -> io::Result<ExitCode> {
        let usage = || io::Error::other(USAGE);
        let (mut seconds, mut seed, mut choice, mut filters) = (SECONDS, None, None, Vec::new());
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut number = || args.next().and_then(|number| number.parse().ok()).ok_or_else(usage);
            match arg.as_str() {
                "--seconds" => seconds = number()?,
                "--seed" => seed = Some(number()?),
                "--random" => choice = Some(Choice::Random),
                "--pct" => choice = Some(Choice::Pct),
                "--list" => {
                    PROGRAMS.iter().for_each(|program| println!("{:<16} {}", program.name, program.checks));
                    return Ok(ExitCode::SUCCESS);
                }
                flag if flag.starts_with('-') => return Err(usage()),
                filter => filters.push(filter.to_owned()),
            }
        }
        let chosen =
            |program: &&Program| filters.is_empty() || filters.iter().any(|name| program.name.contains(name));
        let programs: Vec<_> = PROGRAMS.iter().filter(chosen).collect();
        match (seed, choice, &programs[..]) {
            (None, _, _) => all(&programs, seconds),
            (Some(seed), Some(choice), [program]) => {
                schedules::explore(program, choice, seed, BATCH);
                Ok(ExitCode::SUCCESS)
            }
            _ => Err(usage()),
        }
    }

    /// One program under one choice of schedules.
    struct Row {
        program: &'static Program,
        choice: Choice,
        executions: u64,
        /// The seed of the batch that failed, and how.
        failed: Option<(u64, Ended)>,
        /// In which execution the seeded bug was caught.
        caught: Option<u64>,
    }

    fn all(programs: &[&'static Program], seconds: u64) -> io::Result<ExitCode> {
        let jobs: Vec<_> = programs
            .iter()
            .flat_map(|&program| [(program, Choice::Random), (program, Choice::Pct)])
            .collect();
        for program in programs {
            program.seed.environment()?;
        }
        let next = AtomicUsize::new(0);
        let work = || -> io::Result<Vec<Row>> {
            let mut rows = Vec::new();
            while let Some(&(program, choice)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                rows.push(row(program, choice, Duration::from_secs(seconds))?);
            }
            Ok(rows)
        };
        let rows: io::Result<Vec<Vec<Row>>> = std::thread::scope(|scope| {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no job panics")).collect()
        });
        let mut rows: Vec<_> = rows?.into_iter().flatten().collect();
        rows.sort_by_key(|row| {
            jobs.iter().position(|&(program, choice)| (program.name, choice) == row.name())
        });
        Ok(table(&rows))
    }

    fn batch(
        program: &Program,
        choice: Choice,
        seed: u64,
        environment: &[(&str, &str)],
    ) -> io::Result<Ended> {
        let args = ["--seed", &seed.to_string(), flag(choice), program.name];
        child::run(&std::env::current_exe()?, &args, environment, LIMIT)
    }

    fn flag(choice: Choice) -> &'static str {
        match choice {
            Choice::Random => "--random",
            Choice::Pct => "--pct",
        }
    }

    /// Runs batches until the time is over or one fails, and then batches with the seeded bug until one does.
    fn row(program: &'static Program, choice: Choice, time: Duration) -> io::Result<Row> {
        let first = RandomState::new().build_hasher().finish() >> 1;
        let mut row = Row { program, choice, executions: 0, failed: None, caught: None };
        let start = Instant::now();
        for seed in first.. {
            let ended = batch(program, choice, seed, &[])?;
            row.executions += ended.executions;
            if ended.outcome != Outcome::Passed {
                row.failed = Some((seed, ended));
            }
            if row.failed.is_some() || start.elapsed() > time {
                break;
            }
        }
        let (variable, value) = program.seed.environment()?;
        let mut before = 0;
        for seed in first..first + SEEDED_BATCHES {
            let ended = batch(program, choice, seed, &[(variable, &value)])?;
            before += ended.executions;
            if matches!(ended.outcome, Outcome::Failed(_)) && ended.executions > 0 {
                row.caught = Some(before);
                break;
            }
        }
        eprintln!("  {:<16} {:<8} {:>7.1} s", program.name, flag(choice), start.elapsed().as_secs_f64());
        Ok(row)
    }

    impl Row {
        fn name(&self) -> (&'static str, Choice) {
            (self.program.name, self.choice)
        }
    }

    /// Prints the table; fails if anything did not go as it must, or nothing was run.
    fn table(rows: &[Row]) -> ExitCode {
        let mut good = !rows.is_empty();
        println!(
            "{:<16} {:>7}  {:<8} {:>10}  {:<8} bug that it must catch",
            "program", "threads", "choice", "executions", "result"
        );
        for Row { program, choice, executions, failed, caught } in rows {
            let result = if failed.is_some() { "FAILS" } else { "holds" };
            let caught = caught
                .map_or("NOT CAUGHT".to_owned(), |execution| format!("caught in execution {execution}"));
            good &= failed.is_none() && !caught.starts_with("NOT") && *executions > 0;
            let (name, threads, bug) = (program.name, program.threads, program.bug);
            println!(
                "{name:<16} {threads:>7}  {:<8} {executions:>10}  {result:<8} {caught}: {bug}",
                flag(*choice)
            );
        }
        for Row { program, choice, failed, .. } in rows {
            if let Some((seed, ended)) = failed {
                println!(
                    "\n{}\nrepeat with: cargo shuttle --seed {seed} {} {}",
                    ended.output,
                    flag(*choice),
                    program.name
                );
            }
        }
        if rows.is_empty() {
            println!("error: no program ran");
        }
        if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
