//! The controller: writes what the broker reads into Secrets and `ConfigMap`s, keeps them so, and says how it went.
//!
//! It holds no Azure credential and calls no vault. What it does for one `AzureKeyVaultSecret` goes down this table:
//!
//! | room | does | I/O |
//! |---|---|---|
//! | [`scope`] | which namespaces are looked after | none: pure |
//! | [`watching`] | watches of all of them, or of one after another, as one stream | API server |
//! | [`queue`] | which secrets are to be looked at: watches of the API server and of the broker | API server, broker |
//! | [`mod@reconcile`] | one secret, from its spec to its status | |
//! | [`akvs`] | an `AzureKeyVaultSecret` as the API server holds it, valid or not | none: pure |
//! | [`broker`] | data and versions, by mTLS gRPC | broker |
//! | [`desired`] | spec and data → the objects there should be | none: pure |
//! | [`manifest`] | an object as it is sent | none: pure |
//! | [`fields`] | `managedFields` → who owns what of an object | none: pure |
//! | [`mod@plan`] | there should be, there is → what to do, or why not | none: pure |
//! | [`objects`] | reading and writing Secrets and `ConfigMap`s | API server |
//! | [`own`], [`mod@recreate`] | an apply that is its secret's alone; an object made anew | API server |
//! | [`managed`] | every object that carries our label: who has a part in it | none: pure |
//! | [`release`] | giving up what a secret no longer asks for | API server |
//! | [`status`] | what became of it → conditions and event | none: pure |
//!
//! Beside it: [`restart`] rolls workloads whose versions changed, [`authority`] publishes whom launchers are to trust,
//! [`certificates`] issues what the components show each other, where that is asked for, [`leader`] lets one replica at a time work, [`backoff`] says when to try again, [`metrics`] counts, [`app`] and [`args`]
//! put it together.

pub mod akvs;
pub mod app;
pub mod args;
pub mod authority;
pub mod backoff;
pub mod broker;
pub mod certificates;
pub mod desired;
pub mod fields;
pub mod leader;
pub mod managed;
pub mod manifest;
pub mod metrics;
pub mod objects;
pub mod own;
pub mod plan;
pub mod queue;
pub mod reconcile;
pub mod recreate;
pub mod release;
pub mod restart;
pub mod scope;
pub mod status;
pub mod target;
pub mod watching;
