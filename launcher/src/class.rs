//! Exit codes: those of `sysexits.h` where they fit, and a shell's two. `--help` documents them.

use tonic::Code;

/// What kind of failure it was, as whoever reads an exit code can tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The command line is wrong.
    Usage = 64,
    /// A reference is malformed, or a value cannot stand in an environment.
    Data = 65,
    /// A referenced object does not exist.
    NotFound = 66,
    /// No answer before the deadline. The one class that is worth another try until then.
    Unavailable = 69,
    /// The broker failed, or answered what it must not.
    Internal = 70,
    /// Installing, cleaning up or printing failed.
    Output = 73,
    /// A referenced object exists and cannot be served.
    Unservable = 76,
    /// The broker refused.
    Denied = 77,
    /// No token, no authority, an untrusted broker, or a bad variable.
    Configuration = 78,
    /// The command cannot be executed.
    CannotExecute = 126,
    /// The command was not found.
    CommandNotFound = 127,
}

impl Class {
    /// The exit code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What a broker's refusal is.
    pub fn of_status(code: Code) -> Self {
        match code {
            Code::InvalidArgument | Code::OutOfRange => Self::Data,
            Code::NotFound => Self::NotFound,
            // The launcher cancels no call that it waits for: this is a server's own timeout, which tonic calls so.
            Code::Cancelled | Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Aborted => {
                Self::Unavailable
            }
            Code::FailedPrecondition => Self::Unservable,
            Code::PermissionDenied | Code::Unauthenticated => Self::Denied,
            Code::Ok | Code::Unknown | Code::AlreadyExists | Code::Unimplemented | Code::Internal | Code::DataLoss => {
                Self::Internal
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_exit_code() {
        let expected = [70, 69, 70, 65, 69, 66, 70, 77, 69, 76, 69, 65, 70, 70, 69, 70, 77];
        for (code, expected) in (0..).map(Code::from_i32).zip(expected) {
            assert_eq!(Class::of_status(code).code(), expected, "{code:?}");
        }
    }

    #[test]
    fn every_exit_code_is_in_the_help() {
        for code in [64, 65, 66, 69, 70, 73, 76, 77, 78, 126, 127] {
            assert!(crate::args::HELP.contains(&format!("\n{code:>5}  ")), "{code}");
        }
    }
}
