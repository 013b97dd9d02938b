//! Who sends to whom.

use clap::ValueEnum;
use serde::Serialize;

/// How many connections a group of [`FanIn`](Pattern::FanIn) and [`FanOut`](Pattern::FanOut) has.
pub const GROUP: usize = 8;

/// Who sends to whom. Connections are numbered from 0 in the order in which they were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// Neighbours, 0 and 1, 2 and 3 and so on, send to each other
    #[default]
    Pairs,
    /// In groups of eight, seven send to the first
    FanIn,
    /// In groups of eight, the first sends to the seven others in turn
    FanOut,
    /// Everybody sends to connection 0
    AllToOne,
}

impl Pattern {
    /// The receivers of each of `connections`; one that only receives has none.
    ///
    /// # Errors
    ///
    /// If somebody would have nobody to talk to.
    pub fn receivers(self, connections: usize) -> Result<Vec<Vec<usize>>, String> {
        let one = |to: usize| vec![to];
        let group = |member: usize| member / GROUP * GROUP;
        match self {
            Pattern::Pairs if connections == 0 || !connections.is_multiple_of(2) => {
                Err("pairs need an even number of connections".to_owned())
            }
            // The last group may be smaller, but not alone.
            Pattern::FanIn | Pattern::FanOut if connections < 2 || connections % GROUP == 1 => {
                Err(format!("groups of up to {GROUP} need connections that leave nobody alone"))
            }
            Pattern::AllToOne if connections < 2 => Err("there must be at least 2 connections".to_owned()),
            Pattern::Pairs => Ok((0..connections).map(|n| one(n ^ 1)).collect()),
            Pattern::FanIn => {
                Ok((0..connections).map(|n| if n == group(n) { vec![] } else { one(group(n)) }).collect())
            }
            Pattern::FanOut => Ok((0..connections)
                .map(|n| if n == group(n) { (n + 1..connections.min(n + GROUP)).collect() } else { vec![] })
                .collect()),
            Pattern::AllToOne => Ok((0..connections).map(|n| if n == 0 { vec![] } else { one(0) }).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_talk_to_each_other() {
        assert_eq!(Pattern::Pairs.receivers(4).unwrap(), [[1], [0], [3], [2]]);
        assert!(Pattern::Pairs.receivers(3).is_err());
        assert!(Pattern::Pairs.receivers(0).is_err());
    }

    #[test]
    fn groups_have_one_receiver_or_one_sender() {
        let fan_in = Pattern::FanIn.receivers(11).unwrap();
        assert_eq!(fan_in.iter().map(Vec::len).sum::<usize>(), 7 + 2);
        assert_eq!((&fan_in[0], &fan_in[7], &fan_in[8], &fan_in[10]), (&vec![], &vec![0], &vec![], &vec![8]));
        let fan_out = Pattern::FanOut.receivers(10).unwrap();
        assert_eq!((&fan_out[0][..], &fan_out[8][..]), (&[1, 2, 3, 4, 5, 6, 7][..], &[9][..]));
        assert!(Pattern::FanOut.receivers(9).is_err());
    }

    #[test]
    fn all_send_to_the_first() {
        assert_eq!(Pattern::AllToOne.receivers(3).unwrap(), [vec![], vec![0], vec![0]]);
        assert!(Pattern::AllToOne.receivers(1).is_err());
    }
}
