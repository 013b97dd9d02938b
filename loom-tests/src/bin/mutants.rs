//! Weakens every ordering of the runtime, one at a time, and says which model notices.
//!
//! `cargo run -p loom-tests --bin mutants -- [--only <part of a file's name>] [--bound <n>] [--fresh]`
//!
//! A mutant costs no build: `sync.rs` weakens the operation at run time (`runtime/src/sync/fault.rs`). Results are kept
//! in `target/mutants/` for as long as the models' program stays the same, so a run that was interrupted goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use loom_tests::child::{self, Outcome};
use loom_tests::mutant::{self, Mutant, Mutants, Site};
use loom_tests::source;

const USAGE: &str = "usage: mutants [--only <part of a file's name>] [--bound <n>] [--fresh]";
/// The preemption bound, unless the models' quick set has a lower one. What is killed at all is killed early; each
/// survivor costs a run of all the models that reach it.
const BOUND: usize = 2;
/// A model that takes longer with a mutant than this many times what it takes without is stopped.
const PATIENCE: u32 = 20;
/// But not before this.
const LEAST_LIMIT: Duration = Duration::from_secs(20);
/// Where the table of a whole run goes, in the package's directory.
const TABLE: &str = "MUTANTS.md";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

struct Options {
    only: String,
    bound: usize,
    fresh: bool,
}

fn options() -> io::Result<Options> {
    let mut options = Options { only: String::new(), bound: BOUND, fresh: false };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--only" => options.only = args.next().ok_or_else(|| io::Error::other(USAGE))?,
            "--bound" => {
                let bound = args.next().and_then(|bound| bound.parse().ok());
                options.bound = bound.ok_or_else(|| io::Error::other(USAGE))?;
            }
            "--fresh" => options.fresh = true,
            _ => return Err(io::Error::other(USAGE)),
        }
    }
    Ok(options)
}

fn run() -> io::Result<ExitCode> {
    let options = options()?;
    let program = build()?;
    let store = Store::open(&program, options.bound, options.fresh)?;
    let models = baseline(&program, &store, options.bound)?;
    let sites: BTreeSet<Site> = models.iter().flat_map(|model| model.sites.iter().cloned()).collect();
    let mutants = mutant::all(&sites.into_iter().collect::<Vec<_>>(), &options.only)?;
    let verdicts = judge(&program, &store, &models, &mutants)?;
    report(&options, &mutants, &verdicts)
}

/// Builds the models' program and says where it is.
fn build() -> io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--profile", "loom", "-p", "loom-tests", "--bin", "models"])
        .args(["--config", "build.rustflags=['--cfg','loom']", "--message-format", "json-render-diagnostics"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env_remove("RUSTFLAGS")
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other("the models do not compile"));
    }
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let path = output.split("\"executable\":\"").nth(1).and_then(|rest| rest.split('"').next());
    path.map(PathBuf::from).ok_or_else(|| io::Error::other("cargo names no program"))
}

/// A model without mutants.
#[derive(Debug)]
struct Model {
    name: String,
    bound: usize,
    time: Duration,
    sites: BTreeSet<Site>,
}

/// Lines of text by key, kept on disk.
struct Store {
    known: BTreeMap<String, String>,
    file: Mutex<fs::File>,
}

impl Store {
    fn open(program: &Path, bound: usize, fresh: bool) -> io::Result<Self> {
        let mut hasher = DefaultHasher::new();
        fs::read(program)?.hash(&mut hasher);
        let directory = program.ancestors().nth(2).unwrap_or(program).join("mutants");
        fs::create_dir_all(&directory)?;
        let path = directory.join(format!("bound-{bound}-{:016x}.tsv", hasher.finish()));
        if fresh && path.exists() {
            fs::remove_file(&path)?;
        }
        let text = if path.exists() { fs::read_to_string(&path)? } else { String::new() };
        let known = text.lines().filter_map(|line| line.split_once('\t'));
        let known = known.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        eprintln!("results: {}", path.display());
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { known, file: Mutex::new(file) })
    }

    fn put(&self, key: &str, value: &str) -> io::Result<()> {
        let mut file = self.file.lock().expect("no job panics");
        writeln!(file, "{key}\t{value}")
    }
}

/// Runs every model as it is: which operations it reaches, and how long it takes.
fn baseline(program: &Path, store: &Store, bound: usize) -> io::Result<Vec<Model>> {
    let list = Command::new(program).arg("--list").output()?;
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let chosen: Vec<(String, usize)> = list
        .lines()
        .filter_map(|line| {
            let mut fields = line.split('\t');
            let (name, _, quick) = (fields.next()?, fields.next(), fields.next()?);
            Some((name.to_owned(), bound.min(quick.parse().ok()?)))
        })
        .collect();
    if chosen.is_empty() {
        return Err(io::Error::other("the models' program lists no model"));
    }
    let mut models = in_parallel("baseline", &chosen, |(name, bound)| {
        let key = format!("baseline {name}");
        if let Some(known) = store.known.get(&key) {
            let mut parts = known.split('|');
            let time = parts.next().and_then(|time| time.parse().ok()).unwrap_or(0.0);
            let sites = parts.filter_map(Site::parse).collect();
            let time = Duration::from_secs_f64(time);
            return Ok((Model { name: name.clone(), bound: *bound, time, sites }, None));
        }
        let record = [("TREESCOPE_RECORD_SITES", "1")];
        let args = ["--run", name, &bound.to_string()];
        let ended = child::run(program, &args, &record, Duration::from_secs(3600))?;
        if ended.outcome != Outcome::Passed {
            return Err(io::Error::other(format!("{name} fails without a mutant:\n{}", ended.output)));
        }
        let lines: Vec<_> = ended.output.lines().filter_map(|line| line.strip_prefix("reached: ")).collect();
        store.put(&key, &format!("{}|{}", ended.time.as_secs_f64(), lines.join("|")))?;
        let sites = lines.into_iter().filter_map(Site::parse).collect();
        Ok((Model { name: name.clone(), bound: *bound, time: ended.time, sites }, Some(name.clone())))
    })?;
    models.sort_by_key(|model| model.time);
    Ok(models)
}

/// What became of a mutant.
#[derive(Debug)]
struct Verdict {
    /// The model that noticed, and in which execution.
    killed: Option<(String, u64)>,
    /// For people.
    text: String,
}

impl Verdict {
    fn parse(text: &str) -> Self {
        let mut words = text.split(' ');
        let killed = match (words.next(), words.next(), words.next()) {
            (Some("killed"), Some(model), Some(execution)) => {
                execution.parse().ok().map(|execution| (model.to_owned(), execution))
            }
            _ => None,
        };
        Self { killed, text: text.to_owned() }
    }
}

fn judge(program: &Path, store: &Store, models: &[Model], mutants: &Mutants) -> io::Result<Vec<Verdict>> {
    in_parallel("mutants", &mutants.reached, |(site, mutant)| {
        let key = mutant.environment();
        if let Some(known) = store.known.get(&key) {
            return Ok((Verdict::parse(known), None));
        }
        let text = judge_one(program, models, site, mutant)?;
        store.put(&key, &text)?;
        Ok((Verdict::parse(&text), Some(format!("{mutant}: {text}"))))
    })
}

/// Runs the models that reach `site`, quickest first, until one fails.
fn judge_one(program: &Path, models: &[Model], site: &Site, mutant: &Mutant) -> io::Result<String> {
    let fault = mutant.environment();
    let mut tried = 0;
    let mut endless = 0;
    for model in models.iter().filter(|model| model.sites.contains(site)) {
        let limit = (model.time * PATIENCE).max(LEAST_LIMIT);
        let environment = [("TREESCOPE_FAULT", fault.as_str())];
        let args = ["--run", &model.name, &model.bound.to_string()];
        let ended = child::run(program, &args, &environment, limit)?;
        tried += 1;
        match ended.outcome {
            // Without an execution nothing was seen: the process died.
            Outcome::Failed(why) if ended.executions > 0 => {
                return Ok(format!("killed {} {} {why}", model.name, ended.executions));
            }
            Outcome::TimedOut => endless += 1,
            Outcome::Passed | Outcome::Failed(_) => {}
        }
    }
    Ok(format!("survived {tried} models ({endless} of them stopped)"))
}

/// Maps `jobs`, as many at a time as there are processors, and says how it goes.
fn in_parallel<J: Sync, R: Send>(
    what: &str,
    jobs: &[J],
    work: impl Fn(&J) -> io::Result<(R, Option<String>)> + Sync,
) -> io::Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    // Those that took time, and were not known from an earlier run.
    let fresh = AtomicUsize::new(0);
    let start = Instant::now();
    let results = Mutex::new(Vec::new());
    let worker = || -> io::Result<()> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { return Ok(()) };
            let (result, note) = work(job)?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if let Some(note) = note {
                let fresh = fresh.fetch_add(1, Ordering::Relaxed) + 1;
                let left = start.elapsed().div_f64(fresh as f64).mul_f64((jobs.len() - done) as f64);
                eprintln!("[{what} {done}/{}, about {} s left] {note}", jobs.len(), left.as_secs());
            }
            results.lock().expect("no job panics").push((index, result));
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no job panics"))
    })?;
    let mut results = results.into_inner().expect("no job panics");
    results.sort_by_key(|&(index, _)| index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// Why mutants may survive, from `survivors.txt`.
struct Excuses(String);

impl Excuses {
    fn read() -> io::Result<Self> {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("survivors.txt")).map(Self)
    }

    /// Why `change` at `line` of `file` may survive.
    fn of(&self, file: &str, line: usize, change: &str) -> io::Result<Option<&str>> {
        let text = source::shipped(file)?;
        let code = text.lines().nth(line - 1).unwrap_or_default();
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        let excuse = lines.map(|line| line.splitn(4, " | ").map(str::trim).collect::<Vec<_>>()).find(|fields| {
            matches!(fields[..], [of, there, what, _] if of == file && code.contains(there) && what == change)
        });
        Ok(excuse.and_then(|fields| fields.last().copied()))
    }
}

/// How many mutants ended how.
#[derive(Default)]
struct Counts {
    killed: usize,
    explained: usize,
    undecidable: usize,
    unexplained: usize,
}

impl Counts {
    fn all(&self) -> usize {
        self.killed + self.explained + self.undecidable + self.unexplained
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { killed, explained, undecidable, unexplained } = self;
        let decidable = self.all() - undecidable;
        let percent = 100.0 * *killed as f64 / decidable.max(1) as f64;
        write!(
            f,
            "{} mutants: {killed} killed ({percent:.0} % of those that loom can decide), ",
            self.all()
        )?;
        write!(f, "{undecidable} that it cannot, {explained} survived with a reason, {unexplained} without")
    }
}

/// What a survivor's reason begins with if loom does not tell the mutant from the original.
const UNDECIDABLE: &str = "not decidable by loom";

/// Prints the table, and writes it to [`TABLE`] if it is whole. Fails if a survivor is unexplained, or an ordering is
/// reached by no model.
fn report(options: &Options, mutants: &Mutants, verdicts: &[Verdict]) -> io::Result<ExitCode> {
    let excuses = Excuses::read()?;
    let mut counts = Counts::default();
    let mut rows = Vec::new();
    for ((_, mutant), verdict) in mutants.reached.iter().zip(verdicts) {
        let reason = excuses.of(&mutant.file, mutant.line, &mutant.change)?;
        let what = match (&verdict.killed, reason) {
            (Some((model, execution)), _) => {
                counts.killed += 1;
                format!("`{model}`, execution {execution}")
            }
            (None, Some(reason)) => {
                let undecidable = reason.starts_with(UNDECIDABLE);
                *(if undecidable { &mut counts.undecidable } else { &mut counts.explained }) += 1;
                format!("survived: {reason}")
            }
            (None, None) => {
                counts.unexplained += 1;
                format!("SURVIVED, unexplained ({})", verdict.text)
            }
        };
        let Mutant { file, line, operation, from, change, .. } = mutant;
        rows.push(format!("| `{file}:{line}` | {operation} {from} | {change} | {what} |"));
    }
    let mut unreached = 0;
    for (file, line, ordering) in &mutants.unreached {
        let what = match excuses.of(file, *line, "unreached")? {
            Some(reason) => format!("no model reaches it: {reason}"),
            None => {
                unreached += 1;
                "NO MODEL REACHES IT".to_owned()
            }
        };
        rows.push(format!("| `{file}:{line}` | {ordering} | | {what} |"));
    }
    let reached = format!("{} orderings that no model reaches", mutants.unreached.len());
    let table = format!(
        "# Mutants\n\nWritten by `cargo run -p loom-tests --bin mutants`; README.md says what they are. Preemption bound \
         {}, or the quick set's if that is lower.\n\n{counts}; {reached}.\n\n\
         | where, below `runtime/src/` | written | mutant | killed by |\n|---|---|---|---|\n{}\n",
        options.bound,
        rows.join("\n"),
    );
    print!("{table}");
    if verdicts.is_empty() {
        println!("error: nothing to weaken was found");
    } else if options.only.is_empty() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE), table)?;
    }
    let good = counts.unexplained + unreached == 0 && !verdicts.is_empty();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
