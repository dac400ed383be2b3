//! One JSON line for each `Resolve`, granted or not: who asked, for what, by which rule, what was served. Never a value.
//!
//! | field | meaning |
//! |---|---|
//! | `time` | RFC 3339, UTC |
//! | `audit` | always `resolve` |
//! | `code` | the gRPC code answered |
//! | `caller` | `namespace`, `serviceAccount`, `pod`, `podUid`, `node`; null when the token was refused |
//! | `binding` | absent where pods are not bound, or the caller is not known: `container`, as the caller says, or null; and `verdict`, see below |
//! | `peer` | the caller's address |
//! | `error` | the refusal of the whole request, where it was not about one reference |
//! | `objects[]` | one for each reference, in the order asked |
//! | `objects[].reference` | as it stands in an environment |
//! | `objects[].vault` | the vault's origin; absent, as all down to `stale`, when nothing was granted |
//! | `objects[].object` | type and name, for example `secret/db-password` |
//! | `objects[].rule` | what admitted it |
//! | `objects[].version` | the version served; absent when none was |
//! | `objects[].ageMs` | how old the copy was |
//! | `objects[].stale` | true when it was served past its time because the vault does not answer; absent otherwise |
//! | `objects[].error` | why there is no value |
//!
//! `binding.verdict`: `granted`, `restarted` (for another start than before), `repeated` (to the same process), `unrecorded` (a
//! record may have been lost), `unnamed` (the pod is older than names of containers are); `carried`, where values were granted
//! for no reason of the pod's; else why not, as `keyward_binding_refusals_total` spells it.
//!
//! Lines go to standard output, apart from the logs on standard error, and are written before the reply is sent, each
//! by one write, on the thread that answers.

pub mod fetch;
mod line;

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use time::OffsetDateTime;
use tonic::Code;

use crate::{authn::Caller, resolve::Outcome};

/// Where the lines go.
///
/// Whoever asks writes its own line. A writer on a thread of its own, which takes all lines that wait with one write
/// and then wakes those who asked, was measured and rejected: with 16 requests under way its two wake-ups cost 6 to
/// 10 µs of CPU a request more than the writes that they save, where all of it takes 42, and with one under way no
/// less. The price: who reads the lines and stops reading stops the broker's workers, once the pipe is full. Nothing
/// is handed out unaudited either way.
pub struct AuditLog {
    out: Mutex<Box<dyn Write + Send>>,
}

/// What is said of one request.
pub struct Record<'a> {
    /// Who asked; `None` when the token was refused.
    pub caller: Option<&'a Caller>,
    /// What its pod has to say of it; `None` where nobody asked its pod.
    pub binding: Option<&'a PodVerdict>,
    /// From where.
    pub peer: Option<SocketAddr>,
    /// The code answered.
    pub code: Code,
    /// The refusal of the whole request.
    pub error: Option<&'a str>,
    /// What became of each reference.
    pub outcomes: &'a [Outcome],
}

/// What became of a request at its pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodVerdict {
    /// The container that it says to come from.
    pub container: Option<String>,
    /// One word of a fixed list.
    pub verdict: &'static str,
}

impl AuditLog {
    /// Writes to `out`, one line at a time.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self { out: Mutex::new(Box::new(out)) }
    }

    /// Writes one line. Fails when it could not be written; the caller then must not hand out the values.
    pub fn write(&self, record: &Record<'_>) -> io::Result<()> {
        self.write_line(&line::text(record, OffsetDateTime::now_utc())?)
    }

    fn write_line(&self, line: &[u8]) -> io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(line)?;
        out.flush()
    }
}

/// The code as gRPC spells it.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Keeps each write apart, and fails when there are enough of them.
    struct Writes {
        seen: Arc<Mutex<Vec<Vec<u8>>>>,
        room: usize,
    }

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut seen = self.seen.lock().unwrap();
            if seen.len() == self.room {
                return Err(io::ErrorKind::StorageFull.into());
            }
            seen.push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_line_is_one_write_and_a_write_that_fails_is_told() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = AuditLog::new(Writes { seen: Arc::clone(&seen), room: 2 });
        let record =
            Record { caller: None, binding: None, peer: None, code: Code::Ok, error: Some("a\nb"), outcomes: &[] };
        log.write(&record).unwrap();
        log.write(&record).unwrap();
        assert_eq!(log.write(&record).unwrap_err().kind(), io::ErrorKind::StorageFull);
        let seen = seen.lock().unwrap();
        assert!(seen.iter().all(|line| line.starts_with(b"{\"time\":") && line.ends_with(b"}\n")), "{seen:?}");
    }
}
