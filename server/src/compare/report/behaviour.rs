//! The table of what clients that misbehave do to each server.

use std::fmt::Write as _;

use super::super::behaviour::{Row, Seen};
use super::figure::{count, micros, number};

/// Three tables, for one would be too wide to read.
pub(in super::super) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "A client floods another, which does not read, while two others talk to each other:\n\n\
         | | stalls the others | holds the flooder back | grows by MiB | slowest message between the others | \
         lets newcomers in |\n|---|---|---|--:|--:|---|\n",
    );
    for row in rows {
        let cells = row.flood.as_ref().map(|seen| {
            [
                seen.stalls_others_after
                    .map_or("no".to_owned(), |mib| format!("**after {} MiB**", number(mib))),
                match (seen.held_back_after, seen.stalls_others_after) {
                    (Some(mib), _) => format!("after {} MiB", number(mib)),
                    (None, Some(_)) => "with everybody".to_owned(),
                    (None, None) => format!("**not in {} MiB**", number(seen.cap)),
                },
                number(seen.grown),
                micros(seen.slowest_ms * 1e3),
                (if seen.newcomers { "yes" } else { "**no**" }).to_owned(),
            ]
        });
        line(&mut text, row, cells);
    }
    text += "\nClients send something and leave at once; 10,000 frames come at once while two others talk to each \
             other:\n\n\
             | | lost, and then busy, when clients close | when they reset | others still talk | burst of 10,000 \
             frames | slowest message between the others | grows by MiB |\n|---|---|---|---|---|--:|--:|\n";
    for row in rows {
        groups(&mut text, row, [leaving(row), burst(row)]);
    }
    text += "\nOthers are there and idle; the server is told to stop with 8 MB on their way:\n\n\
             | | median and p99 beside nobody idle | beside many | KiB per idle connection | arrived of sent at the \
             stop | exit | after |\n|---|---|---|--:|---|---|--:|\n";
    for row in rows {
        groups(&mut text, row, [idle(row), stop(row)]);
    }
    text
}

fn groups(text: &mut String, row: &Row, groups: [Vec<String>; 2]) {
    let _ = writeln!(text, "| {} | {} |", row.subject, groups.concat().join(" | "));
}

fn line<const N: usize>(text: &mut String, row: &Row, cells: Result<[String; N], &String>) {
    let cells = cells.map_or_else(|error| failed(error, N), Vec::from);
    let _ = writeln!(text, "| {} | {} |", row.subject, cells.join(" | "));
}

/// The reason, and nothing where the figures would be.
fn failed(error: &str, columns: usize) -> Vec<String> {
    let mut cells = vec![String::new(); columns];
    cells[0] = format!("**{}**", error.replace('|', "/"));
    cells
}

fn group<T>(seen: &Seen<T>, columns: usize, cells: impl FnOnce(&T) -> Vec<String>) -> Vec<String> {
    seen.as_ref().map_or_else(|error| failed(error, columns), cells)
}

fn leaving(row: &Row) -> Vec<String> {
    let busy = |share: f64| if share > 20.0 { format!("**{share:.0} %**") } else { format!("{share:.1} %") };
    group(&row.leaving, 3, |seen| {
        let cell = |lost: usize, share: f64| match lost {
            0 => format!("none, {}", busy(share)),
            _ => format!("**{lost} of {}**, {}", seen.sent, busy(share)),
        };
        let talk = if seen.others_talk { "yes" } else { "**no**" };
        vec![
            cell(seen.lost_by_close, seen.busy_after_close),
            cell(seen.lost_by_reset, seen.busy_after_reset),
            talk.to_owned(),
        ]
    })
}

fn burst(row: &Row) -> Vec<String> {
    group(&row.burst, 3, |seen| {
        let stalled = if seen.stalled { ", **and stalls**" } else { "" };
        let faults =
            if seen.faults.is_none() { "all arrive".to_owned() } else { format!("**{}**", seen.faults) };
        vec![
            format!("{faults}{stalled}, {}", micros(seen.ms * 1e3)),
            seen.slowest_ms.map_or_else(|| "**stalled**".to_owned(), |ms| micros(ms * 1e3)),
            number(seen.grown),
        ]
    })
}

fn idle(row: &Row) -> Vec<String> {
    group(&row.idle, 3, |seen| {
        let step = |step: &super::super::behaviour::Step| {
            format!("{}, {}", micros(step.p50_us), micros(step.p99_us))
        };
        let beside: Vec<_> =
            seen.steps.iter().skip(1).map(|s| format!("{}: {}", count(s.idle as u64), step(s))).collect();
        let stopped = seen.stopped.iter().map(|why| format!("**{why}**"));
        let many: Vec<_> = beside.into_iter().chain(stopped).collect();
        vec![
            seen.steps.first().map_or_else(|| "-".to_owned(), step),
            many.join("; "),
            number(seen.kib_per_connection),
        ]
    })
}

fn stop(row: &Row) -> Vec<String> {
    group(&row.stop, 3, |seen| {
        let share = format!("{} of {}", count(seen.arrived as u64), count(seen.sent as u64));
        let share = if seen.arrived < seen.sent { format!("**{share}**") } else { share };
        let exit = if seen.exit == "0" { "0".to_owned() } else { format!("**{}**", seen.exit) };
        vec![share, exit, micros(seen.ms * 1e3)]
    })
}
