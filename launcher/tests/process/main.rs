//! The real launcher process against a real TLS gRPC server.
//!
//! Every value the server gives carries `kwcanary`, and every failure is checked not to show it.

mod becoming;
mod cleaning;
mod installing;
mod reaching;
mod refusing;
mod resolving;
mod stage;
