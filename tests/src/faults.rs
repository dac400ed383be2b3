//! What Keyward promises while its vault, its network, its programs and its clocks fail: real brokers and clients that behave
//! as launchers do, one trouble after the other, and a check of every single answer. `cargo test` plays the short form, `cargo
//! faults` the long one.
//!
//! | room | does |
//! |---|---|
//! | [`suite`] | which scenes there are |
//! | [`scene`] | one trouble with one vault, in each state of the broker |
//! | [`soak`] | a long while of troubles as chance will have them |
//! | [`trouble`] | what goes wrong: data |
//! | [`stage`] | emulator, brokers, API server, and the ways between them |
//! | [`link`] | a way that can be cut, stalled, half open or slow |
//! | [`cast`] | who asks: launchers, kept connections, a controller |
//! | [`hostile`] | who may read nothing, and asks all along |
//! | [`value`], [`history`] | values that say what they are; what was written and what was read |
//! | [`check`] | what must hold of a history, whatever happened: pure |
//! | [`report`] | what people read: pure |
//!
//! Checked are: each value is of the object asked for and was written before; a value and the version named with it belong
//! together; no client and no replica goes back to an older value; nobody gets a value who may not; a client is left with no
//! refusal but those that the trouble makes; what is in memory is answered for while the vault is away; no ten seconds see more
//! calls to a vault than its budget; after the trouble everybody has the latest values within a bound; no program ends or
//! prints a value.

pub mod cast;
pub mod check;
pub mod history;
pub mod hostile;
pub mod link;
pub mod report;
pub mod scene;
pub mod soak;
pub mod stage;
pub mod suite;
pub mod trouble;
pub mod value;
