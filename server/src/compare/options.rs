//! The command line of `compare`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::slot::Times;
use super::workload::{WORKLOADS, Workload};

/// The options of `compare`.
#[derive(Clone, Debug, Args)]
pub struct CompareArgs {
    /// Instead of speed: what clients that misbehave do to each server
    #[arg(long)]
    pub(super) behaviour: bool,
    /// Fewer and shorter: less than two minutes
    #[arg(long)]
    pub(super) quick: bool,
    /// Only these designs, on all their runtimes or on one: mutex,scoped/treescope
    #[arg(long, value_name = "DESIGN[/RUNTIME],..", value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// Only these workloads
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', conflicts_with = "behaviour")]
    workloads: Vec<String>,
    /// How many rounds [default: 5, quick 2]
    #[arg(long, value_name = "N", conflicts_with = "behaviour", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Where to write tables, JSON and drawings
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// A document whose tables to renew, between markers: of all designs and workloads only
    #[arg(long, value_name = "FILE")]
    pub(super) update: Option<PathBuf>,
}

impl CompareArgs {
    pub(super) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 2 } else { 5 })
    }

    pub(super) fn times(&self) -> Times {
        let ms = Duration::from_millis;
        if self.quick {
            Times { warm_up: ms(50), measured: ms(200) }
        } else {
            Times { warm_up: ms(200), measured: ms(800) }
        }
    }

    pub(super) fn workloads(&self) -> Result<Vec<Workload>, String> {
        let names = || WORKLOADS.iter().map(|workload| workload.name).collect::<Vec<_>>();
        if let Some(name) = self.workloads.iter().find(|name| !names().contains(&name.as_str())) {
            return Err(format!("there is no workload `{name}`, only {}", names().join(", ")));
        }
        let wanted = |workload: &&Workload| match &self.workloads[..] {
            [] => workload.quick || !self.quick,
            wanted => wanted.iter().any(|name| name == workload.name),
        };
        Ok(WORKLOADS.iter().filter(wanted).copied().collect())
    }
}
