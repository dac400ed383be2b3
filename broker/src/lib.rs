//! The broker: the only caller of Key Vault. It caches, authorises, audits and answers over gRPC.
//!
//! A `Resolve` goes down this table and its answer comes up again:
//!
//! | room | does | I/O |
//! |---|---|---|
//! | [`grpc`] | requests in, replies and statuses out | gRPC |
//! | [`authn`] | token → caller | issuer's keys or API server |
//! | [`binding`] | caller and container → whether its pod carries that, and it was not given it before | API server |
//! | [`resolve`] | caller and references → values | |
//! | [`rate`] | how often one identity may ask | none: pure |
//! | [`authz`] | namespace and reference → grant or denial | none: pure |
//! | [`policy`], [`manifests`] | YAML → immutable snapshot of who may read what | none: pure |
//! | [`cache`] | one read however many ask; bounded | |
//! | [`changes`] | what polling found out, told to whoever listens | |
//! | [`poll`] | compares what is held with its vault, again and again | |
//! | [`peers`] | which replica asks the vault, and what the others hear of it | gRPC |
//! | [`events`] | Event Grid says that something has changed: [`poll`] looks at it now | HTTPS |
//! | [`budget`] | when a vault may be asked | |
//! | [`readers`], [`opener`] | one open vault for each in use | |
//! | [`vault`] | the way out: official SDK, pinned origin, no retries | HTTPS |
//! | [`render`], [`object`] | what was read → object → the view asked for | none: pure |
//! | [`audit`] | one line for each `Resolve` and `Fetch` | standard output |
//!
//! The other methods go down a part of it:
//!
//! | room | does | I/O |
//! |---|---|---|
//! | [`fetch`] | one secret's rendered data, for the controller: decided before the read and after it | |
//! | [`watch`] | changes → which secrets have something new | none: pure |
//! | [`check`] | reference → known or not, by the manifests alone | none: pure |
//! | [`explain`] | reference → each gate on its way, open or closed | none: pure |
//!
//! Beside it: [`source`] keeps the snapshot current, [`cluster`] asks the API server, [`metrics`] counts, [`app`], [`args`] and [`setup`] put it
//! together, [`operator`] is the client behind `keyward-broker status`, `refresh` and `explain`.

pub mod app;
pub mod args;
pub mod audit;
pub mod authn;
pub mod authz;
pub mod binding;
pub mod budget;
pub mod cache;
pub mod changes;
pub mod check;
pub mod cluster;
pub mod events;
pub mod explain;
pub mod fetch;
pub mod figures;
pub mod grpc;
pub mod manifests;
pub mod metrics;
mod milliseconds;
#[cfg(test)]
mod model;
pub mod object;
pub mod opener;
pub mod operator;
pub mod peers;
pub mod policy;
pub mod poll;
pub mod rate;
pub mod readers;
pub mod render;
pub mod resolve;
pub mod setup;
pub mod source;
#[cfg(test)]
mod testing;
mod ticks;
pub mod vault;
pub mod watch;
