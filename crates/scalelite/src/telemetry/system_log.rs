//! The log of the system, to which commands report what they change: their own output goes to a terminal, where nobody looks later.
//! journald and syslog daemons read the socket; where there is none, as in most containers, nothing is written.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;

use tracing_subscriber::fmt::MakeWriter;

/// Facility user, severity informational, as RFC 3164 writes them.
const PRIORITY: &str = "<14>";
/// Longest line, in bytes; syslog daemons cut off longer ones.
const MAX_LINE_BYTES: usize = 2048;

/// Writes each line as one message.
#[derive(Clone)]
pub struct SystemLog(Option<Arc<UnixDatagram>>);

impl SystemLog {
    /// Connects to the socket, if something listens there.
    pub fn connect(socket: &Path) -> Self {
        let connect = || {
            let datagram = UnixDatagram::unbound()?;
            datagram.connect(socket)?;
            // A log that is full must not keep a command from ending.
            datagram.set_nonblocking(true)?;
            io::Result::Ok(Arc::new(datagram))
        };
        Self(connect().ok())
    }
}

impl Write for SystemLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(socket) = &self.0 {
            let text = String::from_utf8_lossy(line);
            let mut message =
                format!("{PRIORITY}scalelite[{}]: {}", std::process::id(), text.trim());
            if message.len() > MAX_LINE_BYTES {
                message.truncate(message.floor_char_boundary(MAX_LINE_BYTES));
            }
            // The change is made; that the log is away does not undo it.
            let _ = socket.send(message.as_bytes());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for SystemLog {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
