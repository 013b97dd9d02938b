//! All ways to place 11 queens, a task per node of the search: an unbalanced tree with a little work in each task.
//!
//! On rayon a `scope` with a `spawn` per child, as in [`skynet`](super::skynet), and for the same reason.

use std::future::Future;
use std::pin::Pin;

use futures_lite::future::block_on;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use treescope::{JoinHandle, Scope};

use super::{Entry, Sample, Work};
use crate::runtimes::{Kind, async_executor as on_smol, tokio as on_tokio};

pub(super) const ENTRIES: &[Entry] = &[Entry::usual(
    "nqueens",
    "node",
    "all ways to place 11 queens, a task per node of the search",
    &[
        Kind::Treescope,
        Kind::Tokio,
        Kind::TokioCurrentThread,
        Kind::AsyncExecutor,
        Kind::Rayon,
        Kind::Chili,
        Kind::FuturesUnordered,
        Kind::Serial,
    ],
    |size| {
        let (queens, ways) = size.pick((11, 2_680), (8, 92), (6, 4));
        let board = Board::empty(queens);
        Box::new(Queens { board, ways, nodes: board.nodes() })
    },
)];

struct Queens {
    board: Board,
    /// Known for long (OEIS A000170).
    ways: u64,
    nodes: u64,
}

impl Queens {
    fn run(&self, body: impl FnOnce() -> u64) -> Sample {
        Sample::timed(self.nodes, self.ways, body)
    }
}

/// A board with queens in its first rows: which columns and diagonals of the next row they hold.
#[derive(Clone, Copy)]
struct Board {
    columns: u32,
    rising: u32,
    falling: u32,
    /// A bit per column.
    all: u32,
}

impl Board {
    fn empty(queens: u32) -> Self {
        Self { columns: 0, rising: 0, falling: 0, all: (1 << queens) - 1 }
    }

    fn is_full(self) -> bool {
        self.columns == self.all
    }

    /// The boards with one queen more.
    fn next(self) -> impl Iterator<Item = Board> {
        let mut free = self.all & !(self.columns | self.rising | self.falling);
        std::iter::from_fn(move || {
            let queen = free & free.wrapping_neg();
            free &= !queen;
            (queen != 0).then_some(Board {
                columns: self.columns | queen,
                rising: (self.rising | queen) << 1,
                falling: (self.falling | queen) >> 1,
                all: self.all,
            })
        })
    }

    /// How many boards the search visits.
    fn nodes(self) -> u64 {
        1 + self.next().map(Board::nodes).sum::<u64>()
    }
}

impl Work for Queens {
    fn treescope(&self, runtime: &treescope::Runtime) -> Sample {
        // A board that is full is a plain child, and opens no scope.
        fn place<'scope>(scope: &'scope Scope<'scope, '_>, board: Board) -> JoinHandle<'scope, u64> {
            if board.is_full() {
                return scope.spawn(async { 1 });
            }
            scope.scope(async move |inner| {
                let handles: Vec<_> = board.next().map(|board| place(inner, board)).collect();
                let mut ways = 0;
                for handle in handles {
                    ways += handle.await;
                }
                ways
            })
        }
        let board = self.board;
        self.run(|| runtime.block_on(async |root| place(root, board).await))
    }

    fn tokio(&self, runtime: &tokio::runtime::Runtime) -> Sample {
        fn place(board: Board) -> tokio::task::JoinHandle<u64> {
            tokio::spawn(async move {
                if board.is_full() {
                    return 1;
                }
                let handles: Vec<_> = board.next().map(place).collect();
                let mut ways = 0;
                for handle in handles {
                    ways += handle.await.expect("no task panics");
                }
                ways
            })
        }
        let board = self.board;
        self.run(|| on_tokio::on_worker(runtime, async move { place(board).await.expect("no task panics") }))
    }

    fn async_executor(&self, executor: on_smol::Static) -> Sample {
        fn place(executor: on_smol::Static, board: Board) -> on_smol::Handle<u64> {
            executor.spawn(async move {
                if board.is_full() {
                    return 1;
                }
                let handles: Vec<_> = board.next().map(|board| place(executor, board)).collect();
                let mut ways = 0;
                for handle in handles {
                    ways += handle.await;
                }
                ways
            })
        }
        self.run(|| block_on(place(executor, self.board)))
    }

    fn rayon(&self, pool: &rayon::ThreadPool) -> Sample {
        fn place(board: Board) -> u64 {
            if board.is_full() {
                return 1;
            }
            let mut boards: Vec<_> = board.next().map(|board| (board, 0)).collect();
            rayon::scope(|scope| {
                for (board, ways) in &mut boards {
                    scope.spawn(|_| *ways = place(*board));
                }
            });
            boards.iter().map(|(_, ways)| ways).sum()
        }
        self.run(|| pool.install(|| place(self.board)))
    }

    fn chili(&self, pool: &chili::ThreadPool) -> Sample {
        // It only has a join of two, so a node's children are a small binary tree of joins.
        fn all(scope: &mut chili::Scope<'_>, boards: &[Board]) -> u64 {
            match *boards {
                [] => 0,
                [board] => place(scope, board),
                _ => {
                    let (left, right) = boards.split_at(boards.len() / 2);
                    let (left, right) = scope.join(|scope| all(scope, left), |scope| all(scope, right));
                    left + right
                }
            }
        }
        fn place(scope: &mut chili::Scope<'_>, board: Board) -> u64 {
            if board.is_full() {
                return 1;
            }
            let boards: Vec<_> = board.next().collect();
            all(scope, &boards)
        }
        self.run(|| place(&mut pool.scope(), self.board))
    }

    fn futures_unordered(&self) -> Sample {
        fn place(board: Board) -> Pin<Box<dyn Future<Output = u64>>> {
            Box::pin(async move {
                if board.is_full() {
                    return 1;
                }
                let mut futures: FuturesUnordered<_> = board.next().map(place).collect();
                let mut ways = 0;
                while let Some(more) = futures.next().await {
                    ways += more;
                }
                ways
            })
        }
        self.run(|| block_on(place(self.board)))
    }

    fn serial(&self) -> Sample {
        fn place(board: Board) -> u64 {
            if board.is_full() { 1 } else { board.next().map(place).sum() }
        }
        self.run(|| place(std::hint::black_box(self.board)))
    }
}
