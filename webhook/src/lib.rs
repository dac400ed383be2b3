//! The webhook: rewrites pods whose environment says `NAME@azurekeyvault`, so that the launcher starts first.
//!
//! It holds no value and no Key Vault credential. What it does for one review goes down this table:
//!
//! | room | does | I/O |
//! |---|---|---|
//! | [`server`] | the port that reviews come to | API server |
//! | [`review`] | an `AdmissionReview`: read, and answered | none: pure |
//! | [`mod@scan`] | a pod → its containers with references | none: pure |
//! | [`variables`], [`expand`] | a container's environment as the kubelet will make it | none: pure |
//! | [`mod@wanted`] | which image is to be looked up, for which node and with whose rights | none: pure |
//! | [`cluster`] | `ConfigMap`s and pull secrets | API server |
//! | [`image`] | what an image starts when the pod does not say | registry, API server |
//! | [`broker`] | what the broker says of references; its address for pods | broker, DNS |
//! | [`mod@mutate`] | pod and facts → patch and warnings | none: pure |
//! | [`edits`] | a JSON patch in the making | none: pure |
//! | [`denial`] | every way to refuse a pod | none: pure |
//! | [`names`] | what our parts of a pod are called | none: pure |
//!
//! Beside it: [`metrics`] counts, [`app`] and [`args`] put it together.

pub mod admit;
pub mod app;
pub mod args;
pub mod broker;
pub mod cluster;
pub mod denial;
pub mod edits;
pub mod expand;
pub mod image;
pub mod metrics;
pub mod mutate;
pub mod names;
pub mod review;
pub mod scan;
pub mod server;
pub mod variables;
pub mod wanted;
