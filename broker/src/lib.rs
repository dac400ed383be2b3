//! The broker: the only caller of Key Vault. It caches, authorises, audits and answers over gRPC.
//!
//! A `Resolve` goes down this table and its answer comes up again:
//!
//! | room | does | I/O |
//! |---|---|---|
//! | [`grpc`] | requests in, replies and statuses out | gRPC |
//! | [`authn`] | token → caller | issuer's keys |
//! | [`resolve`] | caller and references → values | |
//! | [`authz`] | namespace and reference → grant or denial | none: pure |
//! | [`policy`], [`manifests`] | YAML → immutable snapshot of who may read what | none: pure |
//! | [`cache`] | one read however many ask; bounded | |
//! | [`changes`] | what polling found out, told to whoever listens | |
//! | [`poll`] | compares what is held with its vault, again and again | |
//! | [`budget`] | when a vault may be asked | |
//! | [`readers`], [`opener`] | one open vault for each in use | |
//! | [`vault`] | the way out: official SDK, pinned origin, no retries | HTTPS |
//! | [`render`], [`object`] | what was read → object → the view asked for | none: pure |
//! | [`audit`] | one line for each `Resolve` | standard output |
//!
//! Beside it: [`source`] keeps the snapshot current, [`metrics`] counts, [`app`], [`args`] and [`setup`] put it
//! together, [`status`] is the client of `keyward-broker status`.

pub mod app;
pub mod args;
pub mod audit;
pub mod authn;
pub mod authz;
pub mod budget;
pub mod cache;
pub mod changes;
pub mod grpc;
pub mod manifests;
pub mod metrics;
pub mod object;
pub mod opener;
pub mod policy;
pub mod poll;
pub mod readers;
pub mod render;
pub mod resolve;
pub mod setup;
pub mod source;
pub mod status;
pub mod vault;
