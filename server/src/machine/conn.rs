//! What the machine and its driver say to each other about connections.

/// A connection, as the driver names it. It stays valid until [`disconnected`](super::Machine::disconnected);
/// after that the machine ignores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conn {
    pub(super) index: u32,
    pub(super) id: u32,
}

impl Conn {
    /// A small number that no other live connection has, for the driver's own table.
    pub fn index(self) -> usize {
        self.index as usize
    }

    /// The id that the client was greeted with.
    pub fn id(self) -> u32 {
        self.id
    }
}

/// Something for the driver to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// There is [output](super::Machine::output), and there was none before. Told once: while the
    /// connection takes less than all of it, the driver waits until it takes more.
    Write(Conn),
    /// The connection may be read again. Told to drivers that stopped, and would not find out.
    Read(Conn),
    /// The connection has taken nothing for too long. The driver writes once more, without asking first
    /// whether that is possible (kernels say that there is room when a good part of a socket's buffer is
    /// free, which a client on a slow line may not have achieved), and says that something was
    /// [`written`](super::Machine::written), or that the client [takes
    /// nothing](super::Machine::takes_nothing).
    Overdue(Conn),
    /// Nothing more will be written: the driver closes the sending side. It goes on reading.
    Shut(Conn),
    /// The driver closes the connection, and calls [`disconnected`](super::Machine::disconnected).
    Close(Conn),
}

impl Event {
    /// The connection that it is about.
    pub fn conn(self) -> Conn {
        match self {
            Event::Write(conn)
            | Event::Read(conn)
            | Event::Overdue(conn)
            | Event::Shut(conn)
            | Event::Close(conn) => conn,
        }
    }
}
