//! Runs the models and prints the table. `cargo loom`, `cargo loom-full`; `README.md` says the rest.

use std::process::ExitCode;

#[cfg(not(loom))]
fn main() -> ExitCode {
    eprintln!(
        "error: not one model was built: this program was compiled without `--cfg loom`.\n\
         `cargo loom` sets it by build.rustflags, which an environment variable RUSTFLAGS overrides: unset it, or \
         add `--cfg loom` to it."
    );
    ExitCode::from(2)
}

#[cfg(loom)]
fn main() -> ExitCode {
    match runner::main() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

#[cfg(loom)]
mod runner {
    use std::io;
    use std::process::ExitCode;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use loom_tests::child::{self, Ended, Outcome};
    use loom_tests::models::{self, Model};

    /// A model that takes longer is no pass.
    const LIMIT_QUICK: Duration = Duration::from_secs(300);
    const LIMIT_FULL: Duration = Duration::from_secs(3600);

    const USAGE: &str = "\
usage: models [--full | --bound <n>] [--jobs <n>] [--no-seeds | --seeds-only] [--verbose] [<name or part of it>..]
       models --list
       models --trace <name>         the failing execution of its seeded bug, step by step
  The quick set is the default. Each model runs twice: as shipped, and with the bug it must catch. As many run at a
  time as there are processors, or `--jobs`.";

    /// One model, as shipped and with its bug.
    struct Row {
        model: &'static Model,
        bound: usize,
        shipped: Option<Ended>,
        seeded: Option<Ended>,
    }

    struct Options {
        full: bool,
        bound: Option<usize>,
        jobs: Option<usize>,
        shipped: bool,
        seeded: bool,
        verbose: bool,
        filters: Vec<String>,
    }

    pub(super) fn main() -> io::Result<ExitCode> {
        let mut options = Options {
            full: false,
            bound: None,
            jobs: None,
            shipped: true,
            seeded: true,
            verbose: false,
            filters: Vec::new(),
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--run" => return run(args.next(), args.next()),
                "--list" => return Ok(list()),
                "--trace" => return trace(args.next()),
                "--quick" => options.full = false,
                "--full" => options.full = true,
                "--bound" => options.bound = Some(number(args.next())?),
                "--jobs" => options.jobs = Some(number(args.next())?.max(1)),
                "--no-seeds" => options.seeded = false,
                "--seeds-only" => options.shipped = false,
                "--verbose" => options.verbose = true,
                flag if flag.starts_with('-') => return Err(io::Error::other(USAGE)),
                filter => options.filters.push(filter.to_owned()),
            }
        }
        let rows = all(&options)?;
        Ok(table(&rows))
    }

    fn number(arg: Option<String>) -> io::Result<usize> {
        arg.and_then(|arg| arg.parse().ok()).ok_or_else(|| io::Error::other(USAGE))
    }

    /// `--run <name> <bound>`: one model, in this process.
    fn run(name: Option<String>, bound: Option<String>) -> io::Result<ExitCode> {
        let model = models::all().find(|model| Some(model.name) == name.as_deref());
        let bound = bound.and_then(|bound| bound.parse().ok());
        let (Some(model), Some(bound)) = (model, bound) else { return Err(io::Error::other(USAGE)) };
        models::explore(model, bound);
        for site in treescope::model::reached() {
            println!("reached: {site}");
        }
        Ok(ExitCode::SUCCESS)
    }

    /// `--trace <name>`: how the model's seeded bug shows.
    fn trace(name: Option<String>) -> io::Result<ExitCode> {
        let model = models::all().find(|model| Some(model.name) == name.as_deref());
        let model = model.ok_or_else(|| io::Error::other(USAGE))?;
        let (variable, value) = model.seed.environment()?;
        println!("{}: {}\n{variable}={value}", model.name, model.bug);
        let environment = [(variable, value.as_str()), ("TREESCOPE_TRACE", "1")];
        let bound = model.quick.unwrap_or(model.full);
        let args = ["--run", model.name, &bound.to_string()];
        let ended = child::run(&std::env::current_exe()?, &args, &environment, LIMIT_QUICK)?;
        print!("{}", ended.output);
        Ok(ExitCode::SUCCESS)
    }

    fn list() -> ExitCode {
        for model in models::all() {
            let quick = model.quick.map_or("-".to_owned(), |bound| bound.to_string());
            println!("{}\t{}\t{quick}\t{}", model.name, model.threads, model.full);
        }
        ExitCode::SUCCESS
    }

    /// Runs what `options` select, as many at a time as there are processors, or as `options` say.
    fn all(options: &Options) -> io::Result<Vec<Row>> {
        let chosen = models::all().filter(|model| {
            options.filters.is_empty()
                || options.filters.iter().any(|filter| model.name.contains(filter.as_str()))
        });
        let rows: Vec<_> = chosen
            .filter_map(|model| {
                let set = if options.full { Some(model.full) } else { model.quick };
                // A model that was asked for by its full name is run whatever the set.
                let named =
                    || options.filters.iter().any(|filter| filter == model.name).then_some(model.full);
                let bound = options.bound.or(set).or_else(named)?;
                Some(Mutex::new(Row { model, bound, shipped: None, seeded: None }))
            })
            .collect();
        let jobs: Vec<_> = rows
            .iter()
            .flat_map(|row| [(row, false), (row, true)])
            .filter(|&(_, seeded)| if seeded { options.seeded } else { options.shipped })
            .collect();
        // Before anything runs: a seed whose source text has changed.
        rows.iter()
            .try_for_each(|row| row.lock().expect("no job panics").model.seed.environment().map(drop))?;
        let next = AtomicUsize::new(0);
        let program = std::env::current_exe()?;
        let work = || -> io::Result<()> {
            while let Some(&(row, seeded)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (model, bound) = row.lock().map(|row| (row.model, row.bound)).expect("no job panics");
                let seed = if seeded { Some(model.seed.environment()?) } else { None };
                let environment: Vec<_> = seed.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let limit = if options.full { LIMIT_FULL } else { LIMIT_QUICK };
                let args = ["--run", model.name, &bound.to_string()];
                let ended = child::run(&program, &args, &environment, limit)?;
                progress(model, seeded, &ended, options.verbose);
                let mut row = row.lock().expect("no job panics");
                *(if seeded { &mut row.seeded } else { &mut row.shipped }) = Some(ended);
            }
            Ok(())
        };
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = options.jobs.unwrap_or_else(processors);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("no job panics"))
        })?;
        Ok(rows.into_iter().map(|row| row.into_inner().expect("no job panics")).collect())
    }

    fn progress(model: &Model, seeded: bool, ended: &Ended, verbose: bool) {
        let what = if seeded { "seeded" } else { "shipped" };
        eprintln!("  {:<40} {what:<8} {:>7.1} s", model.name, ended.time.as_secs_f64());
        let expected = seeded == matches!(ended.outcome, Outcome::Failed(_)) && ended.executions > 0;
        if !expected || verbose {
            eprintln!("{}", ended.output);
        }
    }

    /// Prints the table; fails if anything did not go as it must, or nothing was run.
    fn table(rows: &[Row]) -> ExitCode {
        const HEAD: &str = "protocol::model";
        let width = rows.iter().map(|row| row.model.name.len()).fold(HEAD.len(), usize::max);
        println!(
            "{HEAD:<width$} {:>7} {:>5} {:>10} {:>8}  {:<9} bug that it must catch",
            "threads", "bound", "executions", "seconds", "result"
        );
        let mut good = true;
        let mut explored = 0;
        let mut time = Duration::ZERO;
        for Row { model, bound, shipped, seeded } in rows {
            let result = match shipped.as_ref().map(|ended| &ended.outcome) {
                None => "-",
                Some(Outcome::Passed) => "holds",
                Some(Outcome::Failed(_)) => "FAILS",
                Some(Outcome::TimedOut) => "NO END",
            };
            let caught = match seeded.as_ref().map(|ended| (&ended.outcome, ended.executions)) {
                None => "not seeded:".to_owned(),
                // A process that dies before it says in which execution has not shown that the model saw anything.
                Some((Outcome::Failed(_), 0)) => "NOT CAUGHT (died without a report):".to_owned(),
                Some((Outcome::Failed(_), executions)) => format!("caught in execution {executions}:"),
                Some((Outcome::Passed, _)) => "NOT CAUGHT:".to_owned(),
                Some((Outcome::TimedOut, _)) => "NOT CAUGHT (no end):".to_owned(),
            };
            good &= matches!(result, "holds" | "-") && !caught.starts_with("NOT");
            let (executions, seconds) =
                shipped.as_ref().map_or((0, 0.0), |ended| (ended.executions, ended.time.as_secs_f64()));
            explored += executions;
            time += shipped.iter().chain(seeded).map(|ended| ended.time).sum();
            println!(
                "{:<width$} {:>7} {:>5} {executions:>10} {seconds:>8.1}  {result:<9} {caught} {}",
                model.name,
                model.threads,
                if *bound == models::ALL { "all".to_owned() } else { bound.to_string() },
                model.bug
            );
        }
        println!(
            "{} models, {explored} executions, {:.0} s of processor time",
            rows.len(),
            time.as_secs_f64()
        );
        if rows.is_empty() {
            println!("error: no model ran");
            good = false;
        }
        if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
