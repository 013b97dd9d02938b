//! Which tables of a document a run may renew: those that it measures all of. A table of some designs in the place
//! of one of all would look just as complete.

use super::subject::Subject;
use super::workload::{WORKLOADS, Workload};

/// The names of their places.
///
/// # Errors
///
/// Why there is none.
pub(super) fn tables(
    behaviour: bool,
    subjects: &[Subject],
    workloads: &[Workload],
) -> Result<Vec<&'static str>, String> {
    let left_out = Subject::all().filter(|subject| !subjects.contains(subject));
    let left_out: Vec<_> = left_out.map(|subject| subject.to_string()).collect();
    if !left_out.is_empty() {
        return Err(partial(&left_out));
    }
    if behaviour {
        return Ok(vec!["behaviour"]);
    }
    let mut tables = Vec::new();
    let mut left_out = Vec::new();
    for (series, names) in [(false, &["targets", "load"][..]), (true, &["cost"])] {
        let all = WORKLOADS.iter().filter(|workload| workload.series == series);
        let runs = |workload: &&Workload| workloads.iter().any(|other| other.name == workload.name);
        let (present, missing): (Vec<&Workload>, Vec<_>) = all.partition(runs);
        if missing.is_empty() {
            tables.extend(names);
        } else if !present.is_empty() {
            left_out.extend(missing.iter().map(|workload| workload.name.to_owned()));
        }
    }
    if left_out.is_empty() { Ok(tables) } else { Err(partial(&left_out)) }
}

fn partial(left_out: &[String]) -> String {
    format!(
        "--update would replace whole tables by parts of them: without {} (--only, --workloads and --quick leave \
         something out; --out takes any part)",
        left_out.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workloads(wanted: fn(&Workload) -> bool) -> Vec<Workload> {
        WORKLOADS.iter().copied().filter(wanted).collect()
    }

    #[test]
    fn a_run_renews_the_tables_of_which_it_has_all() {
        let subjects: Vec<_> = Subject::all().collect();
        let of = |wanted| tables(false, &subjects, &workloads(wanted));
        assert_eq!(of(|_| true), Ok(vec!["targets", "load", "cost"]));
        assert_eq!(of(|workload| workload.series), Ok(vec!["cost"]));
        assert_eq!(of(|workload| !workload.series), Ok(vec!["targets", "load"]));
        assert_eq!(tables(true, &subjects, &workloads(|_| true)), Ok(vec!["behaviour"]));
    }

    #[test]
    fn what_is_left_out_is_named() {
        let subjects: Vec<_> = Subject::all().collect();
        let error = tables(false, &subjects, &workloads(|workload| workload.name != "pairs"));
        assert!(error.is_err_and(|error| error.contains("without pairs (")));
        // All others do not make up for one of the series that is missing.
        let error = tables(false, &subjects, &workloads(|workload| workload.work_us != 5));
        assert!(error.is_err_and(|error| error.contains("without cost-5 (")));
        for behaviour in [true, false] {
            let error = tables(behaviour, &subjects[1..], &workloads(|_| true));
            assert!(error.is_err_and(|error| error.contains(&format!("without {} (", subjects[0]))));
        }
    }
}
