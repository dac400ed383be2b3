//! Server plumbing shared by the broker, the controller and the webhook. It knows nothing of Key Vault.
//!
//! | room | holds |
//! |---|---|
//! | [`cli`] | command lines whose errors name the environment variable at fault |
//! | [`telemetry`] | logs on stderr, their format and their filter |
//! | [`ready`] | what start-up still waits for |
//! | [`admin`] | the plain port: `/livez`, `/readyz`, `/metrics` |
//! | [`http1`] | HTTP/1.1 over TLS, drained without failing a call |
//! | [`tasks`] | supervised tasks, drained in order on a signal |
//! | [`tls`] | certificates reloaded while running, bounded handshakes, roles of peers |
//! | [`once`] | a fault that stays is in the log once |

pub mod admin;
pub mod cli;
pub mod http1;
pub mod once;
pub mod ready;
pub mod tasks;
pub mod telemetry;
pub mod tls;
