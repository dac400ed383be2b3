//! A broker that answers from a script: a real TLS gRPC server, with a certificate authority of its own, that records
//! every call. For tests and benchmarks of what talks to the broker; it decides nothing and reads no vault.
//!
//! | room | holds |
//! |---|---|
//! | [`authority`] | a throw-away certificate authority and the certificates it issues |
//! | [`server`] | the server and its record of calls |

pub mod authority;
pub mod server;

pub use authority::{Authority, AuthorityError, Certified};
pub use server::{Call, StandIn, StandInError};
